import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.processor.api.RecordMetadata;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * Kafka Streams, exactly_once_v2, one thread; all else as it comes (commits every 100 ms under exactly-once).
 *
 * <p>Job `copy`: records from topic to topic; key, timestamp and headers are handed on by Kafka Streams itself.
 *
 * <p>Job `mean`: the last 30 doubles of a key in a persistent store with cache and changelog; their mean once
 * there are 30, added up from the oldest, so that it has the same bits as everybody's.
 *
 * <p>Job `mean-headers`: the same, and each mean carries the two headers that the service writes.
 */
public final class Streams {
  private static final int BYTES = 30 * Double.BYTES;

  /** The mean of a full window; shorter ones are only kept. */
  private static final class Mean implements FixedKeyProcessor<byte[], byte[], byte[]> {
    private FixedKeyProcessorContext<byte[], byte[]> context;
    private KeyValueStore<byte[], byte[]> windows;
    private final boolean headers;
    private final byte[] model = ("mean@" + "0".repeat(64)).getBytes(StandardCharsets.US_ASCII);

    private Mean(boolean headers) {
      this.headers = headers;
    }

    @Override
    public void init(FixedKeyProcessorContext<byte[], byte[]> context) {
      this.context = context;
      this.windows = context.getStateStore("windows");
    }

    @Override
    public void process(FixedKeyRecord<byte[], byte[]> record) {
      byte[] past = windows.get(record.key());
      int had = past == null ? 0 : past.length;
      int keep = Math.min(had, BYTES - Double.BYTES);
      byte[] window = new byte[keep + Double.BYTES];
      if (keep > 0) System.arraycopy(past, had - keep, window, 0, keep);
      System.arraycopy(record.value(), 0, window, keep, Double.BYTES);
      windows.put(record.key(), window);
      if (window.length < BYTES) return;
      ByteBuffer values = ByteBuffer.wrap(window).order(ByteOrder.LITTLE_ENDIAN);
      double total = 0;
      for (int at = 0; at < BYTES; at += Double.BYTES) total += values.getDouble(at);
      byte[] mean = new byte[Double.BYTES];
      ByteBuffer.wrap(mean).order(ByteOrder.LITTLE_ENDIAN).putDouble(total / 30);
      if (headers) {
        RecordMetadata from = context.recordMetadata().orElseThrow();
        String source = from.topic() + "/" + from.partition() + "/" + from.offset();
        record.headers().add("scorer-source", source.getBytes(StandardCharsets.US_ASCII)).add("scorer-model", model);
      }
      context.forward(record.withValue(mean));
    }
  }

  public static void main(String[] arguments) {
    Map<String, String> task = System.getenv();
    Serde<byte[]> bytes = Serdes.ByteArray();
    StreamsBuilder builder = new StreamsBuilder();
    KStream<byte[], byte[]> records = builder.stream(task.get("PEER_SOURCE"), Consumed.with(bytes, bytes));
    if (arguments[0].startsWith("mean")) {
      boolean headers = arguments[0].equals("mean-headers");
      var store = Stores.persistentKeyValueStore("windows");
      builder.addStateStore(Stores.keyValueStoreBuilder(store, bytes, bytes).withCachingEnabled());
      records = records.processValues(() -> new Mean(headers), "windows");
    }
    records.to(task.get("PEER_TARGET"), Produced.with(bytes, bytes));

    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, task.get("PEER_TARGET"));
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, task.get("PEER_SERVERS"));
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
    settings.put(StreamsConfig.STATE_DIR_CONFIG, "state");
    settings.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
    KafkaStreams streams = new KafkaStreams(builder.build(), settings);
    Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
    streams.start();
  }
}

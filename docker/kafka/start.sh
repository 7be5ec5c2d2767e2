#!/usr/bin/env bash
# Starts the broker. INSIDE_HOST is the name other containers reach it by, OUTSIDE_PORT the port that the
# host maps to 9094, PROXIED_PORT that of a proxy before 9095: a broker tells its clients where to come
# back to, and must not tell them wrong.
set -euo pipefail

data=/var/lib/kafka
properties=$data/server.properties

# Written at each start: the addresses may change while the data stays.
{
    cat /opt/kafka/server.properties
    cat <<ADDRESSES

listeners=INSIDE://:9092,OUTSIDE://:9094,PROXIED://:9095,CONTROLLER://localhost:9093
advertised.listeners=INSIDE://${INSIDE_HOST:-localhost}:9092,OUTSIDE://localhost:${OUTSIDE_PORT:-9094},PROXIED://localhost:${PROXIED_PORT:-9095}
controller.quorum.bootstrap.servers=localhost:9093
log.dirs=$data/log
ADDRESSES
} >"$properties"

# Whatever killed the last start, data that is there is used.
if [ ! -e "$data/log/meta.properties" ]; then
    cluster=$(tr -dc a-f0-9 </proc/sys/kernel/random/uuid | head -c 22)
    java -Dlog4j2.configurationFile=/opt/kafka/log4j2.properties -cp '/opt/kafka/libs/*' \
        kafka.tools.StorageTool format --standalone -t "$cluster" -c "$properties"
fi

# exec, so that a stop reaches the broker itself.
exec java -Xms256m -Xmx768m -XX:+UseSerialGC -Dlog4j2.configurationFile=/opt/kafka/log4j2.properties \
    -cp '/opt/kafka/libs/*' kafka.Kafka "$properties"

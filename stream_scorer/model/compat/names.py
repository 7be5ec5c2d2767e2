"""Names of TensorFlow 1 that TensorFlow 2 has dropped: a model that uses one was written for TensorFlow 1.

Each is in `tensorflow.compat.v1` of the pinned TensorFlow, or in our facade (`tests/parity/test_legacy.py` compares them).
"""

from __future__ import annotations

TENSORFLOW_1 = frozenset(
    """
    AUTO_REUSE AttrValue ConditionalAccumulator ConditionalAccumulatorBase ConfigProto Dimension Event FIFOQueue
    FixedLenFeature FixedLenSequenceFeature FixedLengthRecordReader GIT_VERSION GPUOptions GRAPH_DEF_VERSION GraphDef
    GraphKeys GraphOptions HistogramProto IdentityReader InteractiveSession LMDBReader LogMessage MetaGraphDef
    NameAttrList NoGradient NodeDef NotDifferentiable OpError OptimizerOptions PaddingFIFOQueue Print PriorityQueue
    QUANTIZED_DTYPES QueueBase RandomShuffleQueue ReaderBase RunMetadata RunOptions Session SessionLog
    SparseConditionalAccumulator SparseFeature SparseTensorValue Summary SummaryMetadata TFRecordReader TensorInfo
    TextLineReader VERSION VarLenFeature VariableScope WholeFileReader
    accumulate_n add_check_numerics_ops add_to_collection add_to_collections all_variables angle app arg_max arg_min
    assert_greater_equal assert_integer assert_less_equal assert_near assert_negative assert_non_negative
    assert_non_positive assert_none_equal assert_positive assert_proper_iterable assert_rank_at_least assert_rank_in
    assert_same_float_dtype assert_scalar assert_type assert_variables_initialized assign assign_add assign_sub
    batch_gather batch_scatter_update batch_to_space_nd betainc bincount ceil check_numerics cholesky cholesky_solve
    clip_by_average_norm colocate_with confusion_matrix conj container contrib
    convert_to_tensor_or_indexed_slices convert_to_tensor_or_sparse_tensor count_nonzero count_up_to
    create_partitioned_variables cross cumprod decode_base64 decode_compressed decode_csv decode_json_example decode_raw
    delete_session_tensor depth_to_space dequantize deserialize_many_sparse diag diag_part digamma dimension_at_index
    dimension_value disable_control_flow_v2 disable_eager_execution disable_resource_variables disable_tensor_equality
    disable_v2_behavior disable_v2_tensorshape distributions div div_no_nan encode_base64 erf erfc expm1
    extract_image_patches fake_quant_with_min_max_args fake_quant_with_min_max_vars fft fft2d fft3d
    fixed_size_partitioner flags floor_div floordiv floormod get_collection get_collection_ref get_default_graph
    get_default_session get_local_variable get_seed get_session_handle get_session_tensor get_variable
    get_variable_scope gfile global_norm global_variables global_variables_initializer glorot_normal_initializer
    glorot_uniform_initializer ifft ifft2d ifft3d igamma igammac imag initialize_all_tables initialize_all_variables
    initialize_local_variables initialize_variables invert_permutation is_finite is_inf is_nan is_non_decreasing
    is_numeric_tensor is_strictly_increasing is_variable_initialized layers lbeta lgamma lin_space
    load_file_system_library local_variables local_variables_initializer log log1p log_sigmoid logging logical_xor
    make_template manip matching_files matrix_band_part matrix_determinant matrix_diag matrix_diag_part matrix_inverse
    matrix_set_diag matrix_solve matrix_solve_ls matrix_transpose matrix_triangular_solve min_max_variable_partitioner
    mod model_variables moving_average_variables multinomial no_regularizer op_scope orthogonal_initializer
    parse_example parse_single_example parse_single_sequence_example parse_tensor placeholder placeholder_with_default
    polygamma py_func python_io qr quantize quantize_v2 quantized_concat random_crop random_gamma random_normal
    random_poisson random_shuffle random_uniform read_file real reciprocal reduce_join regex_replace
    report_uninitialized_variables reset_default_graph resource_loader reverse_v2 rint rsqrt scatter_add scatter_div
    scatter_max scatter_min scatter_mul scatter_nd_add scatter_nd_sub scatter_nd_update scatter_sub scatter_update
    segment_max segment_mean segment_min segment_prod segment_sum self_adjoint_eig self_adjoint_eigvals
    serialize_many_sparse serialize_sparse serialize_tensor set_random_seed setdiff1d space_to_depth sparse_add
    sparse_concat sparse_fill_empty_rows sparse_mask sparse_matmul sparse_maximum sparse_merge sparse_minimum
    sparse_placeholder sparse_reduce_max sparse_reduce_sum sparse_reorder sparse_reset_shape sparse_reshape
    sparse_retain sparse_segment_mean sparse_segment_sqrt_n sparse_segment_sum sparse_slice sparse_softmax sparse_split
    sparse_tensor_dense_matmul sparse_tensor_to_dense sparse_to_dense sparse_to_indicator sparse_transpose spectral
    squared_difference string_join string_split string_strip string_to_hash_bucket string_to_hash_bucket_fast
    string_to_hash_bucket_strong string_to_number substr svd tables_initializer tensor_scatter_add tensor_scatter_sub
    tensor_scatter_update to_bfloat16 to_complex128 to_complex64 to_double to_float to_int32 to_int64 trace
    trainable_variables truncated_normal truncated_normal_initializer uniform_unit_scaling_initializer
    unsorted_segment_max unsorted_segment_mean unsorted_segment_min unsorted_segment_prod unsorted_segment_sqrt_n
    unsorted_segment_sum user_ops variable_axis_size_partitioner variable_op_scope variable_scope
    variables_initializer variance_scaling_initializer verify_tensor_all_finite where_v2 wrap_function write_file zeta
    data.make_initializable_iterator data.make_one_shot_iterator
    image.resize_area image.resize_bicubic image.resize_bilinear image.resize_image_with_crop_or_pad image.resize_images
    image.resize_nearest_neighbor image.transpose_image
    losses.absolute_difference losses.add_loss losses.compute_weighted_loss losses.cosine_distance losses.get_losses
    losses.get_regularization_loss losses.get_regularization_losses losses.get_total_loss losses.hinge_loss
    losses.huber_loss losses.log_loss losses.mean_squared_error losses.sigmoid_cross_entropy
    losses.softmax_cross_entropy losses.sparse_softmax_cross_entropy
    metrics.accuracy metrics.auc metrics.mean metrics.mean_absolute_error metrics.mean_squared_error metrics.precision
    metrics.recall metrics.root_mean_squared_error
    nn.bidirectional_dynamic_rnn nn.dynamic_rnn nn.fused_batch_norm nn.raw_rnn nn.relu_layer nn.rnn_cell
    nn.softmax_cross_entropy_with_logits_v2 nn.static_bidirectional_rnn nn.static_rnn nn.static_state_saving_rnn
    nn.xw_plus_b
    saved_model.build_signature_def saved_model.builder saved_model.loader saved_model.predict_signature_def
    saved_model.signature_constants saved_model.signature_def_utils saved_model.simple_save saved_model.tag_constants
    saved_model.utils
    summary.FileWriter summary.Summary summary.merge summary.merge_all
    train.AdadeltaOptimizer train.AdagradOptimizer train.AdamOptimizer train.FtrlOptimizer
    train.GradientDescentOptimizer train.MomentumOptimizer train.MonitoredSession train.MonitoredTrainingSession
    train.NewCheckpointReader train.Optimizer train.QueueRunner train.RMSPropOptimizer train.Saver train.SaverDef
    train.Supervisor train.checkpoint_exists train.cosine_decay train.create_global_step train.exponential_decay
    train.export_meta_graph train.get_global_step train.get_or_create_global_step train.global_step
    train.import_meta_graph train.init_from_checkpoint train.inverse_time_decay train.natural_exp_decay
    train.piecewise_constant train.polynomial_decay train.start_queue_runners train.string_input_producer
    train.summary_iterator train.update_checkpoint_state train.write_graph
    """.split()
)
"""Below `tensorflow`: the first name, or the first two with a dot."""

# `import tensorflow.compat.v1 as tf` works without us, but these two calls would switch the whole process.
SWITCHES_OF_V1 = frozenset(("disable_v2_behavior", "disable_eager_execution"))

# Modules of TensorFlow 1 that models import by their path.
MODULES_1 = ("tensorflow.contrib", "tensorflow.python.ops.rnn_cell", "tensorflow.python.ops.rnn_cell_impl")

// pnn_field_pooling(vectors (B, S, K), weights (B, S); starts = first slot of each field, "0,1,4") -> (B, N, K):
// the weighted sum over the slots of each field. Without `starts` each slot is a field.
#define KERNELS "field_pooling.inc"
#include "each_isa.h"
#include "field_slots.h"

namespace pnn {

static MXReturnValue forward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  MXTensor& x = (*inputs)[0];
  const int64_t k = x.shape[2];
  const std::vector<int64_t> starts = slot_bounds(attributes, x.shape[1]);
  const int64_t fields = static_cast<int64_t>(starts.size()) - 1;
  const float *vectors = x.data<float>(), *weights = (*inputs)[1].data<float>();
  float* y = (*outputs)[0].data<float>();
  const auto run = PNN_FOR_THIS_PROCESSOR(pool_rows);
  for_chunks(x.shape[0], [&](int64_t, int64_t begin, int64_t end) {
    run(vectors, weights, y, starts.data(), fields, k, begin, end);
  });
  return MX_SUCCESS;
}

static MXReturnValue backward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  MXTensor& x = (*inputs)[1];  // dy, vectors, weights, y
  const int64_t k = x.shape[2];
  const std::vector<int64_t> starts = slot_bounds(attributes, x.shape[1]);
  const int64_t fields = static_cast<int64_t>(starts.size()) - 1;
  const float *dy = (*inputs)[0].data<float>(), *vectors = x.data<float>(), *weights = (*inputs)[2].data<float>();
  float *d_vectors = (*outputs)[0].data<float>(), *d_weights = (*outputs)[1].data<float>();
  const auto run = PNN_FOR_THIS_PROCESSOR(pool_rows_backward);
  for_chunks(x.shape[0], [&](int64_t, int64_t begin, int64_t end) {
    run(dy, vectors, weights, d_vectors, d_weights, starts.data(), fields, k, begin, end);
  });
  return MX_SUCCESS;
}

static MXReturnValue shapes(const Attributes& attributes, Shapes* inputs, Shapes* outputs) {
  const Shape& x = (*inputs)[0];
  if (x.size() != 3) return refuse("pnn_field_pooling: vectors must have the shape (B, S, K)");
  const size_t bounded = slot_bounds(attributes, x[1]).size();
  if (bounded == 0) return refuse_starts("pnn_field_pooling", attributes, x[1]);
  (*inputs)[1] = {x[0], x[1]};
  (*outputs)[0] = {x[0], static_cast<unsigned>(bounded - 1), x[2]};
  return MX_SUCCESS;
}

PNN_OPERATOR(pnn_field_pooling, (counts<2, 1>), forward, backward, shapes);

}  // namespace pnn

// pnn_field_pooling(vectors (B, S, K), weights (B, S); starts = first slot of each field, "0,1,4") -> (B, N, K):
// the weighted sum over the slots of each field. Without `starts` each slot is a field.
#define KERNELS "field_pooling.inc"
#include "each_isa.h"

namespace pnn {

// First slots of the fields, then S; empty if they do not ascend from 0 within S.
static std::vector<int64_t> bounds(const Attributes& attributes, int64_t slots) {
  std::vector<int64_t> starts;
  const std::string given = text(attributes, "starts", "");
  if (given.empty())
    for (int64_t slot = 0; slot < slots; ++slot) starts.push_back(slot);
  for (const char* at = given.c_str(); *at != '\0';) {
    char* after = nullptr;
    starts.push_back(std::strtoll(at, &after, 10));
    if (after == at) return {};
    at = *after == ',' ? after + 1 : after;
  }
  starts.push_back(slots);
  if (starts.front() != 0) return {};
  for (size_t i = 1; i < starts.size(); ++i)
    if (starts[i] <= starts[i - 1]) return {};
  return starts;
}

static MXReturnValue forward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  MXTensor& x = (*inputs)[0];
  const int64_t k = x.shape[2];
  const std::vector<int64_t> starts = bounds(attributes, x.shape[1]);
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
  const std::vector<int64_t> starts = bounds(attributes, x.shape[1]);
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
  const size_t bounded = bounds(attributes, x[1]).size();
  if (bounded == 0)
    return refuse("pnn_field_pooling: starts must ascend from 0 and stay below " + std::to_string(x[1]) + ", not " +
                  text(attributes, "starts", ""));
  (*inputs)[1] = {x[0], x[1]};
  (*outputs)[0] = {x[0], static_cast<unsigned>(bounded - 1), x[2]};
  return MX_SUCCESS;
}

REGISTER_OP(pnn_field_pooling)
    .setForward(forward, "cpu")
    .setBackward(backward, "cpu")
    .setParseAttrs(counts<2, 1>)
    .setInferType(all_float32)
    .setInferShape(shapes);

}  // namespace pnn

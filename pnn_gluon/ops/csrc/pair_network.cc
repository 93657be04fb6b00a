// pnn_pair_network(vectors (B, N, K), hidden_weight (P, 3 K or 2 K, H), hidden_bias (P, H), output_weight (P, H, D)
//                  [, output_bias (P, D)] [, gamma, beta];
//                  products, output_bias = 0 | 1, normalization = fused | layer | none, epsilon,
//                  precision = f32 | x3 | bf16, of the products with hidden_weight) -> (B, P D) [, state]
//
// gamma and beta are (H,) for `fused`, (P, H) for `layer`; for `fused` there is a second output, what the backward pass
// needs of the forward pass: see pair_network.inc, which has the equations.
#include "common.h"
#include "matrix_product.h"
#include "precision.h"

namespace pnn {

constexpr int64_t kTile = 64;      // rows of a tile
constexpr int64_t kTogether = 16;  // pairs whose outputs are written at once
constexpr int64_t kUnitBlock = 4;  // hidden units of a register block of dW1
// The parts of the batch that have sums of their own of the gradients of the parameters.
constexpr int64_t kParts = 8;
// The most hidden units of a tile, of all its pairs, that the forward pass keeps rather than computes twice: 16 MB.
constexpr int64_t kMostUnits = int64_t{1} << 22;

enum class Normalization : uint8_t { fused, layer, none };

struct PairNetwork {
  int64_t rows, fields, size, parts, hidden, outputs, pairs, words, state_rows, gain_stride;
  int64_t step, multiple, planes;  // of words, see PairKernels
  Normalization normalization;
  float epsilon;
  const float *inner, *outer;  // W1 as the operand of u and of dx
  const float *vectors, *hidden_weight, *hidden_bias, *output_weight, *output_bias, *gamma, *beta, *df;
  float *f, *state, *d_vectors;
  // A copy of the last rows of `vectors`, with room for a vector behind them.
  const float* last_rows;
  int64_t copied_from;

  int64_t whole(int64_t n) const { return (n + multiple - 1) / multiple * multiple; }
  // Words along the numbers of a vector, along all inputs of a pair, and along its hidden units.
  int64_t part_words() const { return (size + step - 1) / step; }
  int64_t input_words() const { return whole(parts * part_words()); }
  int64_t unit_words() const { return whole((hidden + step - 1) / step); }
  // Hidden units, filled up to whole blocks.
  int64_t units() const { return whole((hidden + kUnitBlock - 1) / kUnitBlock * kUnitBlock); }
  // Floats of W1 of a pair as the operand of u, (words, H) or (H, words) for tiles, and of dx, (inputs, words).
  int64_t inner_size() const { return planes * input_words() * (multiple > 1 ? units() : hidden); }
  int64_t outer_size() const { return planes * whole(parts * size) * unit_words(); }
};

// What computes in one precision on this processor: of words of `step` numbers in `planes`, in multiples of `multiple`.
struct PairKernels {
  int64_t step, multiple, planes;
  void (*pack)(const PairNetwork& net, int64_t pair, float* inner, float* outer);  // or null: W1 is taken as it is
  void (*forward)(const PairNetwork& net, int64_t tile, bool keep, float* scratch);
  void (*backward)(const PairNetwork& net, int64_t begin, int64_t end, float* sums, float* scratch);
};

// Where the gradients of a pair's parameters lie: W1 (H', stride) with columns padded to whole vectors, W2 (H, D),
// b2 (D), b1 (H), and gamma (H) and beta (H), which follow the last pair if they are shared.
struct PairSums {
  int64_t stride, output_weight, output_bias, hidden_bias, gamma, pair, all;

  explicit PairSums(const PairNetwork& net)
      : stride((net.parts * net.size + 15) / 16 * 16),
        output_weight(net.units() * stride),
        output_bias(output_weight + net.hidden * net.outputs),
        hidden_bias(output_bias + net.outputs),
        gamma(hidden_bias + net.hidden),
        pair((gamma + 2 * net.hidden + 15) / 16 * 16),
        all(net.pairs * pair + 2 * net.hidden) {}
};

}  // namespace pnn

#define KERNELS "pair_network.inc"
#define PAIRED 0
#define CONVERTED 0
#define TILES 0
#include "each_isa.h"
#undef PAIRED
#undef CONVERTED
#undef TILES
#include "each_matrix_unit.h"

namespace pnn {

struct Form {
  bool products, output_bias;
  Normalization normalization;
  bool normalized() const { return normalization != Normalization::none; }
  bool fused() const { return normalization == Normalization::fused; }
  int inputs() const { return 4 + output_bias + 2 * normalized(); }
  int outputs() const { return 1 + fused(); }
};

static Form form_of(const Attributes& attributes) {
  const std::string name = text(attributes, "normalization", "fused");
  return {integer(attributes, "products", 1) != 0, integer(attributes, "output_bias", 1) != 0,
          name == "fused"   ? Normalization::fused
          : name == "layer" ? Normalization::layer
                            : Normalization::none};
}

static PairKernels kernels_of(const Attributes& attributes) {
  const Precision precision = precision_of(attributes);
#if PNN_MATRIX_UNITS
  const bool x3 = precision == Precision::x3;
  if (precision != Precision::f32) {
    if (matrix_unit() == MatrixUnit::amx)
      return x3 ? amx::pair_kernels<Precision::x3>() : amx::pair_kernels<Precision::bf16>();
    if (matrix_unit() == MatrixUnit::emulated_tiles)
      return x3 ? emulated_tiles::pair_kernels<Precision::x3>() : emulated_tiles::pair_kernels<Precision::bf16>();
    if (matrix_unit() == MatrixUnit::avx512_bf16 && !x3) return avx512_bf16::pair_kernels<Precision::bf16>();
  }
#endif
  return precision == Precision::bf16 ? PNN_FOR_THIS_PROCESSOR(pair_kernels<Precision::bf16>)()
                                      : PNN_FOR_THIS_PROCESSOR(pair_kernels<Precision::f32>)();
}

static int64_t words(int64_t hidden) { return (hidden + 31) / 32; }
static int64_t tiles_of(int64_t rows) { return (rows + kTile - 1) / kTile; }

// Sizes and parameters from the inputs of the forward pass, which begin at `first`. `constants` are H ones and H zeros:
// the gain and the shift where there is no normalization.
static PairNetwork network(const Attributes& attributes, const PairKernels& kernels, Tensors& inputs, size_t first,
                           Scratch& constants) {
  const Form form = form_of(attributes);
  PairNetwork net{};
  net.step = kernels.step, net.multiple = kernels.multiple, net.planes = kernels.planes;
  const auto& shape = inputs[first].shape;
  const auto& output_shape = inputs[first + 3].shape;
  net.rows = shape[0], net.fields = shape[1], net.size = shape[2], net.parts = form.products ? 3 : 2;
  net.hidden = output_shape[1], net.outputs = output_shape[2], net.pairs = net.fields * (net.fields - 1) / 2;
  net.words = words(net.hidden), net.state_rows = 2 + net.pairs * net.words;
  net.normalization = form.normalization, net.epsilon = number(attributes, "epsilon", 1e-5f);
  net.gain_stride = form.normalization == Normalization::layer ? net.hidden : 0;
  const auto next = [&] { return inputs[first++].data<float>(); };
  net.vectors = next(), net.hidden_weight = next(), net.hidden_bias = next(), net.output_weight = next();
  net.output_bias = form.output_bias ? next() : nullptr;
  if (form.normalized()) {
    net.gamma = next(), net.beta = next();
  } else {
    float* values = constants.zeros(2 * net.hidden);
    for (int64_t h = 0; h < net.hidden; ++h) values[h] = 1;
    net.gamma = values, net.beta = values + net.hidden;
  }
  return net;
}

// W1 as the kernels take it: the operand of u, and with kBackward that of dx.
static void pack_weights(const PairKernels& kernels, PairNetwork& net, bool backward, Scratch& scratch) {
  net.inner = net.outer = net.hidden_weight;
  if (kernels.pack == nullptr) return;
  const bool both = backward && kernels.step > 1;  // else they are the same
  const int64_t size = net.pairs * net.inner_size();
  float* inner = scratch.get(size + (both ? net.pairs * net.outer_size() : 0));
  float* outer = both ? inner + size : nullptr;
#pragma omp parallel for schedule(static)
  for (int64_t pair = 0; pair < net.pairs; ++pair) kernels.pack(net, pair, inner, outer);
  net.inner = inner, net.outer = both ? outer : inner;
}

static MXReturnValue forward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  static thread_local Scratch constants, weights;
  const PairKernels kernels = kernels_of(attributes);
  PairNetwork net = network(attributes, kernels, *inputs, 0, constants);
  pack_weights(kernels, net, false, weights);
  net.f = (*outputs)[0].data<float>();
  if (form_of(attributes).fused()) net.state = (*outputs)[1].data<float>();
  const int64_t tiles = tiles_of(net.rows), H = net.hidden;
  // Tiles compute the hidden units faster than memory keeps them.
  const bool keep = form_of(attributes).fused() && net.multiple == 1 && net.pairs * H * kTile <= kMostUnits;
  const int64_t size = (H + net.units() * (keep ? net.pairs : 1) + kTogether * net.outputs + 2 +
                        net.planes * net.input_words() + net.fields * (net.size + net.planes * net.part_words())) *
                       kTile;
#pragma omp parallel for schedule(dynamic)
  for (int64_t tile = 0; tile < tiles; ++tile) {
    static thread_local Scratch scratch;
    kernels.forward(net, tile, keep, scratch.get(size));
  }
  return MX_SUCCESS;
}

// The gradients of the parameters of a pair: the sums of all parts, in their order.
static void add_parts(const PairNetwork& net, const float* sums, int64_t parts, int64_t pair, float* total,
                      const std::vector<float*>& to) {
  const PairSums at(net);
  const int64_t H = net.hidden, D = net.outputs, X = net.parts * net.size;
  std::memcpy(total, sums + pair * at.pair, static_cast<size_t>(at.pair) * 4);
  for (int64_t part = 1; part < parts; ++part) {
    const float* from = sums + part * at.all + pair * at.pair;
    for (int64_t n = 0; n < at.pair; ++n) total[n] += from[n];
  }
  for (int64_t x = 0; x < X; ++x)
    for (int64_t h = 0; h < H; ++h) to[1][(pair * X + x) * H + h] = total[h * at.stride + x];
  const auto copy = [&](float* into, int64_t from, int64_t size) {
    std::memcpy(into + pair * size, total + from, static_cast<size_t>(size) * 4);
  };
  copy(to[2], at.hidden_bias, H);
  copy(to[3], at.output_weight, H * D);
  size_t next = 4;
  if (net.output_bias) copy(to[next++], at.output_bias, D);
  if (net.gain_stride) {
    copy(to[next], at.gamma, H);
    copy(to[next + 1], at.gamma + H, H);
  }
}

static MXReturnValue backward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  static thread_local Scratch constants, weights, partial, last_rows;
  const Form form = form_of(attributes);
  const size_t first = static_cast<size_t>(form.outputs()), count = static_cast<size_t>(form.inputs());
  const PairKernels kernels = kernels_of(attributes);
  PairNetwork net = network(attributes, kernels, *inputs, first, constants);
  pack_weights(kernels, net, true, weights);
  net.df = (*inputs)[0].data<float>();
  net.f = (*inputs)[first + count].data<float>();
  if (form.fused()) net.state = (*inputs)[first + count + 1].data<float>();
  std::vector<float*> to;
  for (MXTensor& gradient : *outputs) to.push_back(gradient.data<float>());
  net.d_vectors = to[0];
  const PairSums at(net);
  const int64_t N = net.fields, K = net.size, H = net.hidden, D = net.outputs;
  const int64_t tiles = tiles_of(net.rows), parts = tiles < kParts ? tiles : kParts, most = (tiles + parts - 1) / parts;
  const int64_t words = net.planes * (net.input_words() + net.unit_words() + net.units());  // of x, of du twice
  const int64_t per_tile = 4 + N * (2 * K + net.planes * net.part_words()) + net.pairs * D;
  const int64_t size = (net.units() + net.whole(net.parts * K) + words + most * per_tile) * kTile +
                       net.planes * (kTile + 1) * at.stride + (H * D + D + 3 * H) * 16;
  float* sums = partial.get(parts * at.all);
  net.copied_from = net.rows < 16 ? 0 : net.rows - 16;  // 16 rows are at least a vector
  float* last = last_rows.zeros(16 * N * K + 16);
  const size_t copied = static_cast<size_t>((net.rows - net.copied_from) * N * K);
  std::memcpy(last, net.vectors + net.copied_from * N * K, copied * 4);
  net.last_rows = last;
#pragma omp parallel for schedule(dynamic)
  for (int64_t part = 0; part < parts; ++part) {
    static thread_local Scratch scratch;
    kernels.backward(net, tiles * part / parts, tiles * (part + 1) / parts, sums + part * at.all, scratch.get(size));
  }
#pragma omp parallel for schedule(static)
  for (int64_t pair = 0; pair < net.pairs; ++pair) {
    static thread_local Scratch scratch;
    add_parts(net, sums, parts, pair, scratch.get(at.pair), to);
  }
  if (form.fused())
    for (int64_t n = 0; n < 2 * H; ++n) {
      float total = 0;
      for (int64_t part = 0; part < parts; ++part) total += sums[part * at.all + net.pairs * at.pair + n];
      to[count - 2 + static_cast<size_t>(n / H)][n % H] = total;
    }
  return MX_SUCCESS;
}

static std::string shape_text(const Shape& shape) {
  std::string text = "(";
  for (unsigned size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + ")";
}

static MXReturnValue shapes(const Attributes& attributes, Shapes* inputs, Shapes* outputs) {
  const Form form = form_of(attributes);
  const std::string name = text(attributes, "normalization", "fused");
  if (name != "fused" && name != "layer" && name != "none")
    return refuse("pnn_pair_network: normalization must be fused, layer or none, not " + name);
  if (!names_precision(attributes))
    return refuse("pnn_pair_network: precision must be f32, x3 or bf16, not " + text(attributes, "precision", "f32"));
  const Shape &vectors = (*inputs)[0], &weight = (*inputs)[3];
  if (vectors.size() != 3 || vectors[1] < 2)
    return refuse("pnn_pair_network: vectors must be (B, N, K) with N of 2 or more, not " + shape_text(vectors));
  const unsigned pairs = vectors[1] * (vectors[1] - 1) / 2, inputs_of_pair = vectors[2] * (form.products ? 3 : 2);
  if (weight.size() != 3 || weight[0] != pairs)
    return refuse("pnn_pair_network: output_weight must be (" + std::to_string(pairs) + ", H, D), not " +
                  shape_text(weight));
  const unsigned H = weight[1], D = weight[2];
  Shapes expected = {vectors, {pairs, inputs_of_pair, H}, {pairs, H}, weight};
  if (form.output_bias) expected.push_back({pairs, D});
  const Shape gain = form.fused() ? Shape{H} : Shape{pairs, H};
  if (form.normalized()) expected.insert(expected.end(), {gain, gain});
  for (size_t n = 1; n < expected.size(); ++n)
    if (!(*inputs)[n].empty() && (*inputs)[n] != expected[n])
      return refuse("pnn_pair_network: input " + std::to_string(n) + " must be " + shape_text(expected[n]) + ", not " +
                    shape_text((*inputs)[n]));
  *inputs = expected;
  (*outputs)[0] = {vectors[0], pairs * D};
  if (form.fused())
    (*outputs)[1] = {static_cast<unsigned>(tiles_of(vectors[0])), 2 + pairs * static_cast<unsigned>(words(H)),
                     static_cast<unsigned>(kTile)};
  return MX_SUCCESS;
}

static MXReturnValue pair_network_counts(const Attributes& attributes, int* inputs, int* outputs) {
  *inputs = form_of(attributes).inputs();
  *outputs = form_of(attributes).outputs();
  return MX_SUCCESS;
}

PNN_OPERATOR(pnn_pair_network, pair_network_counts, forward, backward, shapes);

}  // namespace pnn

// Updates of a weight (V, ...) and its states, in place, on the rows that a row-sparse gradient holds (a dense one
// holds all), called with out=weight. g' = rescale_grad g + l2 w; a = lr.
//
// - pnn_adam(weight, gradient, mean m, variance v): w *= keep; m = beta1 m + (1 - beta1) g';
//   v = beta2 v + (1 - beta2) g'^2; w -= a m / (sqrt(v) + epsilon). With lazy_update=0 rows that the gradient does not
//   hold are updated too, with g = 0. With catch_up=1 it takes decay_of_rows (V, 1) and decay (1, 1), float64, and
//   w *= exp(decay - decay_of_rows) instead, after which decay_of_rows = decay.
// - pnn_adagrad(weight, gradient, n): n += g'^2; w -= a g' / sqrt(n + epsilon)
// - pnn_group_adagrad(weight, gradient, n (V, 1, ...)): n += mean of g'^2 over the row; then as pnn_adagrad
// - pnn_ftrl(weight, gradient, z, n): g = rescale_grad g; z += g - (sqrt(n + g^2) - sqrt(n)) / a w; n += g^2;
//   w = (sign(z) l1 - z) / ((1 + sqrt(n)) / a + l2) if abs(z) > l1, else 0
//
// Each row is the work of one thread, so results are equal for any number of threads.
namespace pnn {
struct AdamSettings {
  float rate, beta1, beta2, epsilon, l2, rescale;
};
struct AdaGradSettings {
  float rate, epsilon, l2, rescale;
};
struct FtrlSettings {
  float rate, l1, l2, rescale;
};
}  // namespace pnn

#define KERNELS "optimizers.inc"
#include "each_isa.h"

#include <algorithm>
#include <cmath>

namespace pnn {

// ------------------------------------------------------------------------------------------ rows

// `count` rows of `width` numbers; rows[i] is the row of the weight that the i-th belongs to, null: row i.
struct Gradient {
  const float* data;
  const int64_t* rows;
  int64_t count, width;
  bool sparse;
};

static Gradient read_gradient(MXTensor& tensor) {
  const int64_t size = tensor.shape[0], width = tensor.size() / std::max<int64_t>(size, 1);
  if (tensor.stype != mxnet::ext::kRowSparseStorage) return {tensor.data<float>(), nullptr, size, width, false};
  const auto* held = tensor.data<mxnet::ext::MXSparse>();
  return {static_cast<const float*>(held->data), held->indices, held->indices_len, width, true};
}

// Whether rows ascend, so that no two threads get the same one, and are rows of the weight.
static bool rows_fit(const Gradient& gradient, int64_t size) {
  if (!gradient.sparse) return true;
  int64_t before = -1;
  bool fit = true;
  for (int64_t i = 0; i < gradient.count; ++i) {
    fit &= gradient.rows[i] > before;
    before = gradient.rows[i];
  }
  return fit && before < size;
}

static void prefetch(const float* row, int64_t width) {
  for (int64_t j = 0; j < width + 15 && j < 64; j += 16) __builtin_prefetch(row + std::min(j, width - 1), 1);
}

// run(first row, number of rows, their gradient) for all rows that the gradient holds. `arrays` are those with rows of
// the gradient's width: a row far off in memory is asked for some rows ahead.
template <class Run>
void for_held_rows(const Gradient& gradient, const std::vector<const float*>& arrays, Run&& run) {
  constexpr int64_t kAhead = 12, kFew = 8192;
  const int64_t width = gradient.width;
  const auto update = [&](int64_t, int64_t begin, int64_t end) {
    if (!gradient.sparse) return run(begin, end - begin, gradient.data + begin * width);
    for (int64_t i = begin; i < end; ++i) {
      if (i + kAhead < end)
        for (const float* array : arrays) prefetch(array + gradient.rows[i + kAhead] * width, width);
      run(gradient.rows[i], 1, gradient.data + i * width);
    }
  };
  if (gradient.count * width > kFew)
    for_chunks(gradient.count, update);
  else
    update(0, 0, gradient.count);  // starting the threads would take longer
}

// The same for all rows of the weight; the gradient is null for those that it does not hold.
template <class Run>
void for_all_rows(const Gradient& gradient, int64_t size, Run&& run) {
  const int64_t *first = gradient.rows, *last = first + gradient.count;
  for_chunks(size, [&](int64_t, int64_t begin, int64_t end) {
    const int64_t* held = std::lower_bound(first, last, begin);
    for (int64_t row = begin; row < end; ++row) {
      const int64_t next = held != last ? std::min(*held, end) : end;
      if (row < next) run(row, next - row, nullptr);
      if (next < end) run(next, 1, gradient.data + (held++ - first) * gradient.width);
      row = next;
    }
  });
}

// ------------------------------------------------------------------------------------------ checks

static MXReturnValue check(const char* name, Tensors* inputs, Tensors* outputs, const Gradient& gradient) {
  const std::string op = name;
  if ((*outputs)[0].data_ptr != (*inputs)[0].data_ptr) return refuse(op + ": give out=weight, it works in place");
  if (!rows_fit(gradient, (*inputs)[0].shape[0]))
    return refuse(op + ": the rows of the gradient must ascend and be below " + std::to_string((*inputs)[0].shape[0]));
  return MX_SUCCESS;
}

// The gradient may be row sparse, all else is dense.
static MXReturnValue storage(const Attributes&, Types* inputs, Types* outputs) {
  for (size_t i = 0; i < inputs->size(); ++i)
    if ((*inputs)[i] != mxnet::ext::kDefaultStorage && !(i == 1 && (*inputs)[i] == mxnet::ext::kRowSparseStorage))
      return refuse("optimizers of pnn_gluon take dense weights and states, and dense or row-sparse gradients");
  (*outputs)[0] = mxnet::ext::kDefaultStorage;
  return MX_SUCCESS;
}

// All inputs from the first to `last` have the shape of the weight.
static MXReturnValue same_shapes(Shapes* inputs, Shapes* outputs, size_t last) {
  for (size_t i = 0; i <= last; ++i)
    if ((*inputs)[i].empty() || (*inputs)[i] != (*inputs)[0])
      return refuse("gradient and states must have the shape of the weight, one dimension or more");
  (*outputs)[0] = (*inputs)[0];
  return MX_SUCCESS;
}

static MXReturnValue all_the_same(const Attributes&, Shapes* inputs, Shapes* outputs) {
  return same_shapes(inputs, outputs, inputs->size() - 1);
}

// ------------------------------------------------------------------------------------------ Adam

static bool catches_up(const Attributes& attributes) { return integer(attributes, "catch_up", 0) != 0; }

static MXReturnValue adam_forward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  const Gradient gradient = read_gradient((*inputs)[1]);
  if (!check("pnn_adam", inputs, outputs, gradient)) return MX_FAIL;
  const AdamSettings settings{number(attributes, "lr", 0),         number(attributes, "beta1", 0.9f),
                              number(attributes, "beta2", 0.999f), number(attributes, "epsilon", 1e-8f),
                              number(attributes, "l2", 0),         number(attributes, "rescale_grad", 1)};
  float *w = (*inputs)[0].data<float>(), *m = (*inputs)[2].data<float>(), *v = (*inputs)[3].data<float>();
  double* decays = catches_up(attributes) ? (*inputs)[4].data<double>() : nullptr;
  const double decay = decays != nullptr ? *(*inputs)[5].data<double>() : 0;
  const float keep = number(attributes, "keep", 1);
  const int64_t width = gradient.width;
  const auto update = PNN_FOR_THIS_PROCESSOR(adam);
  const auto run = [&](int64_t row, int64_t rows, const float* g) {
    int64_t at = row * width;
    if (decays == nullptr) return update(w + at, g, m + at, v + at, rows * width, settings, keep);
    for (int64_t r = row; r < row + rows; ++r, at += width, g += width) {
      const float caught_up = static_cast<float>(std::exp(decay - decays[r]));
      decays[r] = decay;
      update(w + at, g, m + at, v + at, width, settings, caught_up);
    }
  };
  if (gradient.sparse && integer(attributes, "lazy_update", 1) == 0)
    for_all_rows(gradient, (*inputs)[0].shape[0], run);
  else
    for_held_rows(gradient, {w, m, v}, run);
  return MX_SUCCESS;
}

static MXReturnValue adam_counts(const Attributes& attributes, int* inputs, int* outputs) {
  *inputs = catches_up(attributes) ? 6 : 4;
  *outputs = 1;
  return MX_SUCCESS;
}

static MXReturnValue adam_mutates(const Attributes& attributes, Types* inputs) {
  *inputs = {2, 3};
  if (catches_up(attributes)) inputs->push_back(4);
  return MX_SUCCESS;
}

static MXReturnValue adam_types(const Attributes& attributes, Types* inputs, Types* outputs) {
  if (!catches_up(attributes)) return all_float32(attributes, inputs, outputs);
  Types floats(inputs->begin(), inputs->begin() + 4);
  if (!all_float32(attributes, &floats, outputs)) return MX_FAIL;
  if ((*inputs)[4] != mxnet::ext::kFloat64 || (*inputs)[5] != mxnet::ext::kFloat64)
    return refuse("pnn_adam: decay_of_rows and decay must be float64");
  std::copy(floats.begin(), floats.end(), inputs->begin());
  return MX_SUCCESS;
}

static MXReturnValue adam_shapes(const Attributes& attributes, Shapes* inputs, Shapes* outputs) {
  if (catches_up(attributes)) {
    if (integer(attributes, "lazy_update", 1) == 0) return refuse("pnn_adam: catch_up needs lazy_update");
    if ((*inputs)[4] != Shape{(*inputs)[0][0], 1} || (*inputs)[5] != Shape{1, 1})
      return refuse("pnn_adam: decay_of_rows must have the shape (rows of the weight, 1), decay (1, 1)");
  }
  return same_shapes(inputs, outputs, 3);
}

REGISTER_OP(pnn_adam)
    .setForward(adam_forward, "cpu")
    .setParseAttrs(adam_counts)
    .setInferType(adam_types)
    .setInferSType(storage)
    .setInferShape(adam_shapes)
    .setMutateInputs(adam_mutates);

// ------------------------------------------------------------------------------------------ AdaGrad

static AdaGradSettings adagrad_settings(const Attributes& attributes) {
  return {number(attributes, "lr", 0), number(attributes, "epsilon", 1e-7f), number(attributes, "l2", 0),
          number(attributes, "rescale_grad", 1)};
}

static MXReturnValue adagrad_forward(const Attributes& attributes, Tensors* inputs, Tensors* outputs,
                                     const OpResource&) {
  const Gradient gradient = read_gradient((*inputs)[1]);
  if (!check("pnn_adagrad", inputs, outputs, gradient)) return MX_FAIL;
  const AdaGradSettings settings = adagrad_settings(attributes);
  float *w = (*inputs)[0].data<float>(), *n = (*inputs)[2].data<float>();
  const int64_t width = gradient.width;
  const auto update = PNN_FOR_THIS_PROCESSOR(adagrad);
  for_held_rows(gradient, {w, n}, [&](int64_t row, int64_t rows, const float* g) {
    update(w + row * width, g, n + row * width, rows * width, settings);
  });
  return MX_SUCCESS;
}

static MXReturnValue group_adagrad_forward(const Attributes& attributes, Tensors* inputs, Tensors* outputs,
                                           const OpResource&) {
  const Gradient gradient = read_gradient((*inputs)[1]);
  if (!check("pnn_group_adagrad", inputs, outputs, gradient)) return MX_FAIL;
  const AdaGradSettings settings = adagrad_settings(attributes);
  float *w = (*inputs)[0].data<float>(), *n = (*inputs)[2].data<float>();
  const int64_t width = gradient.width;
  const auto update = PNN_FOR_THIS_PROCESSOR(group_adagrad);
  for_held_rows(gradient, {w}, [&](int64_t row, int64_t rows, const float* g) {
    for (int64_t i = 0; i < rows; ++i) update(w + (row + i) * width, g + i * width, n + row + i, width, settings);
  });
  return MX_SUCCESS;
}

static MXReturnValue group_shapes(const Attributes&, Shapes* inputs, Shapes* outputs) {
  if (!same_shapes(inputs, outputs, 1)) return MX_FAIL;
  Shape one_a_row((*inputs)[0].size(), 1);
  one_a_row[0] = (*inputs)[0][0];
  return (*inputs)[2] == one_a_row ? MX_SUCCESS
                                   : refuse("pnn_group_adagrad: n must have the shape (rows of the weight, 1, ...)");
}

static MXReturnValue adagrad_mutates(const Attributes&, Types* inputs) {
  *inputs = {2};
  return MX_SUCCESS;
}

REGISTER_OP(pnn_adagrad)
    .setForward(adagrad_forward, "cpu")
    .setParseAttrs(counts<3, 1>)
    .setInferType(all_float32)
    .setInferSType(storage)
    .setInferShape(all_the_same)
    .setMutateInputs(adagrad_mutates);

REGISTER_OP(pnn_group_adagrad)
    .setForward(group_adagrad_forward, "cpu")
    .setParseAttrs(counts<3, 1>)
    .setInferType(all_float32)
    .setInferSType(storage)
    .setInferShape(group_shapes)
    .setMutateInputs(adagrad_mutates);

// ------------------------------------------------------------------------------------------ FTRL

static MXReturnValue ftrl_forward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  const Gradient gradient = read_gradient((*inputs)[1]);
  if (!check("pnn_ftrl", inputs, outputs, gradient)) return MX_FAIL;
  const FtrlSettings settings{number(attributes, "lr", 0), number(attributes, "l1", 0), number(attributes, "l2", 0),
                              number(attributes, "rescale_grad", 1)};
  float *w = (*inputs)[0].data<float>(), *z = (*inputs)[2].data<float>(), *n = (*inputs)[3].data<float>();
  const int64_t width = gradient.width;
  const auto update = PNN_FOR_THIS_PROCESSOR(ftrl);
  for_held_rows(gradient, {w, z, n}, [&](int64_t row, int64_t rows, const float* g) {
    update(w + row * width, g, z + row * width, n + row * width, rows * width, settings);
  });
  return MX_SUCCESS;
}

static MXReturnValue ftrl_mutates(const Attributes&, Types* inputs) {
  *inputs = {2, 3};
  return MX_SUCCESS;
}

REGISTER_OP(pnn_ftrl)
    .setForward(ftrl_forward, "cpu")
    .setParseAttrs(counts<4, 1>)
    .setInferType(all_float32)
    .setInferSType(storage)
    .setInferShape(all_the_same)
    .setMutateInputs(ftrl_mutates);

}  // namespace pnn

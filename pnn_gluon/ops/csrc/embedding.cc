// pnn_embedding(ids int32 (B, S), weight (V, K); starts = first slot of each field, "0,1,4") -> (B, N, K): the vector
// of the id of each field, or the mean of those of its slots; zeros where no slot is present. Without `starts` each
// slot is a field.
// pnn_embedding_sum, the same inputs -> (B, K): these vectors of a row added up.
//
// A table of more numbers than a tensor holds is cut by rows: three weights (R, K), (R, K) and (R', K), R' <= R, with
// parts=3 stand for the table (2 R + R', K) of their rows one after the other, and give the same bits.
//
// A slot with id 0 is padding: it is not present, and its row gets zeros for gradient. The gradient of the weight is
// row sparse: each id of the batch once, ascending. Occurrences are added in the order of the rows, by one thread for
// an id, so results are equal for any number of threads.
#include <cstdint>

namespace pnn {
// A table cut by rows: id i is row i mod `rows` of part i div `rows`.
struct Cut {
  const float* const* parts;
  uint32_t rows;
};
}  // namespace pnn

#define KERNELS "embedding.inc"
#include "each_isa.h"
#include "field_slots.h"

#include <algorithm>
#include <atomic>

namespace pnn {

namespace {
// An occurrence of an id: the id in the upper half, its place in the lower.
using Key = uint64_t;

int64_t id_of(Key key) { return static_cast<int64_t>(key >> 32); }

struct Slots {
  Slots(const Attributes& attributes, const MXTensor& ids)
      : starts(slot_bounds(attributes, ids.shape[1])),
        rows(ids.shape[0]),
        slots(ids.shape[1]),
        fields(static_cast<int64_t>(starts.size()) - 1) {}
  bool shared() const { return slots > fields; }  // whether a field has more than one slot

  std::vector<int64_t> starts;
  int64_t rows, slots, fields;
};

// The weights of a table, which stand between `before` inputs and `after` others.
struct Table {
  Table(Tensors& inputs, size_t before, size_t after) : width(inputs[before].shape[1]), rows(inputs[before].shape[0]) {
    for (size_t i = before; i + after < inputs.size(); ++i) {
      parts.push_back(inputs[i].data<float>());
      size += inputs[i].shape[0];
    }
  }
  int64_t count() const { return static_cast<int64_t>(parts.size()); }
  Cut cut() const { return {parts.data(), static_cast<uint32_t>(rows)}; }

  std::vector<const float*> parts;
  int64_t width, rows, size = 0;  // rows of every part but the last; ids
};
}  // namespace

// ------------------------------------------------------------------------------------------ sorting

// Moves keys from one array to the other, ordered by `bits` bits of the id from `shift` on, equal ones in their order.
// The parts, worked off in parallel, do not show in the result.
static void sort_by_digit(const Key* from, Key* to, int64_t count, int shift, int bits) {
  constexpr int64_t kParts = 8;
  const int64_t digits = int64_t{1} << bits, mask = digits - 1;
  const auto digit = [&](Key key) { return static_cast<int64_t>(key >> (32 + shift)) & mask; };
  const auto begin = [&](int64_t part) { return count * part / kParts; };
  std::vector<int64_t> next(static_cast<size_t>(kParts * digits));  // first counts, then where the next key goes
#pragma omp parallel for schedule(static)
  for (int64_t part = 0; part < kParts; ++part) {
    int64_t* mine = next.data() + part * digits;
    for (int64_t i = begin(part); i < begin(part + 1); ++i) ++mine[digit(from[i])];
  }
  int64_t sum = 0;
  for (int64_t d = 0; d < digits; ++d)
    for (int64_t part = 0; part < kParts; ++part) {
      int64_t& place = next[static_cast<size_t>(part * digits + d)];
      sum += place;
      place = sum - place;
    }
#pragma omp parallel for schedule(static)
  for (int64_t part = 0; part < kParts; ++part) {
    int64_t* mine = next.data() + part * digits;
    for (int64_t i = begin(part); i < begin(part + 1); ++i) to[mine[digit(from[i])]++] = from[i];
  }
}

// Sorts keys by their ids, which are below `size`; gives the array that holds the result.
static Key* sort_by_id(Key* keys, Key* other, int64_t count, int64_t size) {
  constexpr int kDigitBits = 11;
  int bits = 1;
  while (bits < 31 && size > int64_t{1} << bits) ++bits;
  const int passes = (bits + kDigitBits - 1) / kDigitBits, width = (bits + passes - 1) / passes;
  for (int pass = 0; pass < passes; ++pass) {
    sort_by_digit(keys, other, count, pass * width, width);
    std::swap(keys, other);
  }
  return keys;
}

// Where the keys of each distinct id begin. Chunk c writes its own from starts[begin of the chunk + c] on, and where
// the last of them end; counts[c + 1] is their number.
static void find_distinct(const Key* keys, int64_t count, int64_t* starts, int64_t* counts) {
  const auto first = [&](int64_t i) { return i == 0 || keys[i] >> 32 != keys[i - 1] >> 32; };
  for_chunks(count, [&](int64_t chunk, int64_t begin, int64_t end) {
    int64_t *mine = starts + begin + chunk, found = 0;
    for (int64_t i = begin; i < end; ++i) {
      mine[found] = i;  // stays if the next line counts it
      found += first(i);
    }
    if (found > 0)
      while (end < count && !first(end)) ++end;
    mine[found] = end;
    counts[chunk + 1] = found;
  });
}

// How many distinct ids of the batch earlier parts of the table have, for each part, and how many there are;
// distinct[chunk] says it for each chunk.
static std::vector<int64_t> distinct_before(const Table& table, const Key* keys, int64_t count, const int64_t* starts,
                                            const int64_t* distinct) {
  if (table.count() == 1) return {0, distinct[kChunks]};
  std::vector<int64_t> before(static_cast<size_t>(table.count() + 1));
  for (int64_t chunk = 0; chunk < kChunks; ++chunk) {
    const int64_t* mine = starts + chunk_begin(count, chunk) + chunk;
    for (int64_t d = 0; d < distinct[chunk + 1] - distinct[chunk]; ++d)
      ++before[static_cast<size_t>(id_of(keys[mine[d]]) / table.rows + 1)];
  }
  for (size_t part = 1; part < before.size(); ++part) before[part] += before[part - 1];
  return before;
}

// ------------------------------------------------------------------------------------------ operators

template <bool kSum>
static MXReturnValue forward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  const Slots s(attributes, (*inputs)[0]);
  const Table table(*inputs, 1, 0);
  const int64_t size = table.size, k = table.width;
  const int32_t* ids = (*inputs)[0].data<int32_t>();
  const float* weight = table.parts[0];
  float* y = (*outputs)[0].data<float>();
  const auto fit = PNN_FOR_THIS_PROCESSOR(ids_fit);
  const auto gather = PNN_FOR_THIS_PROCESSOR(gather_rows<kSum>);
  const auto gather_cut = PNN_FOR_THIS_PROCESSOR(gather_cut_rows<kSum>);
  const auto add = PNN_FOR_THIS_PROCESSOR(add_weights);
  std::atomic<bool> known{true};
  for_chunks(s.rows, [&](int64_t, int64_t begin, int64_t end) {
    if (!fit(ids + begin * s.slots, (end - begin) * s.slots, size))
      known = false;
    else if (table.count() > 1)
      gather_cut(ids, table.cut(), y, s.starts.data(), s.fields, k, begin, end);
    else if (kSum && k == 1 && !s.shared())
      add(ids, weight, y, s.slots, begin, end);
    else
      gather(ids, weight, y, s.starts.data(), s.fields, k, begin, end);
  });
  if (known) return MX_SUCCESS;
  return refuse("pnn_embedding: ids must be from 0 to " + std::to_string(size - 1) +
                ", but the batch has others: encode it with the feature map of the model");
}

template <bool kSum>
static MXReturnValue backward(const Attributes& attributes, Tensors* inputs, Tensors* outputs,
                              const OpResource& resource) {
  const Table table(*inputs, 2, 1);  // dy, ids, weights, y
  const Slots s(attributes, (*inputs)[1]);
  const int64_t size = table.size, k = table.width, count = s.rows * s.slots;
  const float* dy = (*inputs)[0].data<float>();
  const int32_t* ids = (*inputs)[1].data<int32_t>();
  static thread_local Scratch key_scratch, start_scratch, share_scratch;
  Key* keys = reinterpret_cast<Key*>(key_scratch.get(4 * count));
  auto* starts = reinterpret_cast<int64_t*>(start_scratch.get(2 * (count + kChunks)));
  float* shares = s.shared() ? share_scratch.get(s.rows * s.fields) : nullptr;
  const auto weigh = PNN_FOR_THIS_PROCESSOR(field_shares);
  for_chunks(s.rows, [&](int64_t, int64_t begin, int64_t end) {
    if (s.shared()) weigh(ids, shares, s.starts.data(), s.fields, begin, end);
    for (int64_t row = begin; row < end; ++row)
      for (int64_t i = 0; i < s.fields; ++i)
        for (int64_t at = row * s.slots + s.starts[i]; at < row * s.slots + s.starts[i + 1]; ++at) {
          const int64_t place = kSum && !s.shared() ? row : row * s.fields + i;
          keys[at] = static_cast<Key>(ids[at]) << 32 | static_cast<Key>(place);
        }
  });
  keys = sort_by_id(keys, keys + count, count, size);
  int64_t distinct[kChunks + 1] = {};  // the first of each chunk
  find_distinct(keys, count, starts, distinct);
  for (int64_t chunk = 0; chunk < kChunks; ++chunk) distinct[chunk + 1] += distinct[chunk];
  const std::vector<int64_t> before = distinct_before(table, keys, count, starts, distinct);
  std::vector<mxnet::ext::MXSparse*> gradients;
  for (size_t part = 0; part + 1 < before.size(); ++part) {
    gradients.push_back((*outputs)[1 + part].data<mxnet::ext::MXSparse>());
    const int64_t rows = before[part + 1] - before[part];
    resource.alloc_sparse(gradients[part], static_cast<int>(1 + part), static_cast<int>(rows));
  }
  const auto add =
      s.shared() ? PNN_FOR_THIS_PROCESSOR(add_occurrences<true>) : PNN_FOR_THIS_PROCESSOR(add_occurrences<false>);
#pragma omp parallel for schedule(dynamic)
  for (int64_t chunk = 0; chunk < kChunks; ++chunk) {
    const int64_t *mine = starts + chunk_begin(count, chunk) + chunk, first = distinct[chunk];
    const int64_t found = distinct[chunk + 1] - first;
    for (int64_t d = 0; d < found;) {  // part by part
      const int64_t begin = d, part = id_of(keys[mine[d]]) / table.rows, least = part * table.rows;
      const mxnet::ext::MXSparse* gradient = gradients[static_cast<size_t>(part)];
      const int64_t place = first - before[static_cast<size_t>(part)];
      for (; d < found && id_of(keys[mine[d]]) < least + table.rows; ++d)
        gradient->indices[place + d] = id_of(keys[mine[d]]) - least;
      add(keys, mine + begin, d - begin, dy, shares, kSum ? s.fields : 1,
          static_cast<float*>(gradient->data) + (place + begin) * k, k);
    }
  }
  return MX_SUCCESS;
}

static MXReturnValue input_counts(const Attributes& attributes, int* inputs, int* outputs) {
  *inputs = 1 + static_cast<int>(integer(attributes, "parts", 1));
  *outputs = 1;
  return MX_SUCCESS;
}

static MXReturnValue types(const Attributes&, Types* inputs, Types* outputs) {
  const auto is = [](int type, int wanted) { return type < 0 || type == mxnet::ext::kUNSET || type == wanted; };
  bool fit = is((*inputs)[0], mxnet::ext::kInt32);
  for (size_t i = 1; i < inputs->size(); ++i) fit &= is((*inputs)[i], mxnet::ext::kFloat32);
  if (!fit) return refuse("pnn_embedding takes int32 ids and a float32 weight: use plain_operators() for other types");
  std::fill(inputs->begin(), inputs->end(), mxnet::ext::kFloat32);
  (*inputs)[0] = mxnet::ext::kInt32;
  (*outputs)[0] = mxnet::ext::kFloat32;
  return MX_SUCCESS;
}

// Also asked for the backward pass, which has the gradients of ids and weights for outputs.
static MXReturnValue storage(const Attributes&, Types* inputs, Types* outputs) {
  for (int type : *inputs)
    if (type != mxnet::ext::kDefaultStorage) return refuse("pnn_embedding takes dense ids, weights and gradients");
  (*outputs)[0] = mxnet::ext::kDefaultStorage;
  for (size_t i = 1; i < outputs->size(); ++i) (*outputs)[i] = mxnet::ext::kRowSparseStorage;
  return MX_SUCCESS;
}

template <bool kSum>
static MXReturnValue shapes(const Attributes& attributes, Shapes* inputs, Shapes* outputs) {
  const Shape &ids = (*inputs)[0], &weight = (*inputs)[1];
  if (ids.size() != 2 || weight.size() != 2)
    return refuse("pnn_embedding: ids must have the shape (B, S), weight (V, K)");
  for (size_t i = 2; i < inputs->size(); ++i) {
    const Shape &one = (*inputs)[i - 1], &next = (*inputs)[i];
    if (next.size() != 2 || next[1] != weight[1] || one[0] != weight[0] || next[0] > weight[0])
      return refuse("pnn_embedding: parts of a table must have the same shape, the last may have fewer rows");
  }
  const size_t bounded = slot_bounds(attributes, ids[1]).size();
  if (bounded == 0) return refuse_starts("pnn_embedding", attributes, ids[1]);
  (*outputs)[0] = kSum ? Shape{ids[0], weight[1]} : Shape{ids[0], static_cast<unsigned>(bounded - 1), weight[1]};
  return MX_SUCCESS;
}

REGISTER_OP(pnn_embedding)
    .setForward(forward<false>, "cpu")
    .setBackward(backward<false>, "cpu")
    .setParseAttrs(input_counts)
    .setInferType(types)
    .setInferSType(storage)
    .setInferShape(shapes<false>);

REGISTER_OP(pnn_embedding_sum)
    .setForward(forward<true>, "cpu")
    .setBackward(backward<true>, "cpu")
    .setParseAttrs(input_counts)
    .setInferType(types)
    .setInferSType(storage)
    .setInferShape(shapes<true>);

}  // namespace pnn

// The matrix product over blocks: what is packed when, by which thread, with which kernels.
#include "matrix_product.h"

#include <omp.h>

#include <algorithm>

#if defined(__linux__)
#include <unistd.h>
#endif

#define KERNELS "matrix_product.inc"
#define PAIRED 0
#define TILES 0
#define CONVERTED 0
#include "each_isa.h"
#undef PAIRED
#undef TILES
#undef CONVERTED
#include "each_matrix_unit.h"

namespace pnn {

static Kernels kernels_of(Precision precision) {
#if PNN_MATRIX_UNITS
  if (precision != Precision::f32) {
    const bool x3 = precision == Precision::x3;
    switch (matrix_unit()) {
      case MatrixUnit::amx:
        return x3 ? amx::kernels<Precision::x3>() : amx::kernels<Precision::bf16>();
      case MatrixUnit::emulated_tiles:
        return x3 ? emulated_tiles::kernels<Precision::x3>() : emulated_tiles::kernels<Precision::bf16>();
      case MatrixUnit::avx512_bf16:
        return x3 ? avx512_bf16::kernels<Precision::x3>() : avx512_bf16::kernels<Precision::bf16>();
      case MatrixUnit::none:
        break;
    }
  }
#endif
  return precision == Precision::bf16 ? PNN_FOR_THIS_PROCESSOR(kernels<Precision::bf16>)()
                                      : PNN_FOR_THIS_PROCESSOR(kernels<Precision::f32>)();
}

static int64_t divided_up(int64_t x, int64_t y) { return (x + y - 1) / y; }

constexpr int64_t kDepth = 1024;       // most words along k of a block: its panel of B stays in the second-level cache
constexpr int64_t kWordMultiple = 16;  // packed blocks have a multiple of this many words
constexpr int64_t kFewestStrips = 2;   // of a task
constexpr int64_t kTasksOfAThread = 4;
constexpr int64_t kFirstLevel = 1 << 13;  // floats of a first-level cache
constexpr int64_t kWordsOfARun = 16;      // packed at a time where neighbours along k are not neighbours in memory
constexpr int64_t kWordsOfAMadeRun = 32;
static_assert(kWordMultiple % kRowMultiple == 0 && kWordsOfAMadeRun % kRowMultiple == 0, "where rows of B begin");

// Floats that a task keeps at hand, its packed A and its sums: half of the second-level cache.
static int64_t floats_of_a_task() {
#if defined(_SC_LEVEL2_CACHE_SIZE)
  static const int64_t bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
  if (bytes > 0) return bytes / 8;
#endif
  return int64_t{1} << 16;
}

// The blocks of a product, and where packed operands lie.
struct Plan {
  Kernels kernels;
  int64_t m, n, k;
  int64_t depth, depths;  // numbers along k of a block, blocks along k
  int64_t words;          // of a packed block of full depth
  int64_t panels, strips;

  Plan(Precision precision, int64_t m, int64_t n, int64_t k) : kernels(kernels_of(precision)), m(m), n(n), k(k) {
    const int64_t all = divided_up(k, kernels.step);
    words = divided_up(divided_up(all, divided_up(all, kDepth)), kWordMultiple) * kWordMultiple;
    depth = words * kernels.step;
    depths = divided_up(k, depth);
    panels = divided_up(n, kernels.panel);
    strips = divided_up(m, kernels.strip);
  }

  int64_t panel_size() const { return words * kernels.panel; }
  int64_t strip_size() const { return words * kernels.strip; }
  int64_t b_plane() const { return depths * panels * panel_size(); }
  int64_t end_of(int64_t block) const { return std::min(k, (block + 1) * depth); }
  int64_t words_of(int64_t block) const { return divided_up(end_of(block) - block * depth, kernels.step); }
  // From a row of sums to the next: not a power of two, whose rows would share a few lines of the cache.
  int64_t sums_stride(int64_t panels) const { return panels * kernels.panel + 16; }
};

struct Range {
  int64_t first, last;  // the one after the last

  int64_t size() const { return last - first; }
};

// Number `i` of the parts of `count` things.
static Range part_of(int64_t count, int64_t i, int64_t parts) { return {count * i / parts, count * (i + 1) / parts}; }

// How a product is divided: by rows, and, unless rows have to be whole, by columns where rows are few or one is too
// long for a task's memory.
struct Tasks {
  int64_t rows, columns;
  int64_t strips, panels;  // most of a task

  Tasks(const Plan& plan, int64_t threads, bool whole_rows) {
    const Kernels& kernels = plan.kernels;
    const int64_t room = std::min(floats_of_a_task(), std::max(plan.b_plane(), kFirstLevel));  // B sets the pace
    const int64_t enough = kTasksOfAThread * threads;
    const int64_t most = whole_rows ? 1 : plan.panels;
    const int64_t least =
        std::min(most, divided_up(kFewestStrips * kernels.strip * plan.sums_stride(plan.panels), room));
    const int64_t floats_of_a_strip =
        kernels.planes * plan.strip_size() + kernels.strip * plan.sums_stride(divided_up(plan.panels, least));
    const int64_t fitting = std::max(room / floats_of_a_strip, kFewestStrips);
    rows = std::min(divided_up(plan.strips, kFewestStrips), std::max(divided_up(plan.strips, fitting), enough));
    columns = std::min(most, std::max(least, divided_up(enough, rows)));
    strips = divided_up(plan.strips, rows);
    panels = divided_up(plan.panels, columns);
  }
};

// run(first, end) for parts of k: for all of it where neighbours along k are neighbours in memory, else for so few that
// all strips or panels take theirs from the same rows of memory before the next ones.
template <class Run>
static void for_runs(const Plan& plan, bool neighbours, int64_t k, int64_t k_end, Run&& run) {
  const int64_t most = neighbours ? k_end - k : kWordsOfARun * plan.kernels.step;
  for (; k < k_end; k += most) run(k, std::min(k_end, k + most));
}

// A product as it was asked for: A and B are there or made, rows are written or taken.
struct Request {
  Matrix a, b;
  Product product;
  const MadeRows *made_a, *made_b;
  const TakenRows* taken;
};

// Panels of B from k to k_end, into a block that begins at `first`; of a B that is made, all panels.
static void pack_run(const Plan& plan, Range panels, int64_t k, int64_t k_end, int64_t first, const Request& asked,
                     float* packed_b) {
  const Kernels& kernels = plan.kernels;
  Matrix from = transposed(asked.b);
  int64_t row = 0;  // of B, where `from` begins
  if (asked.made_b != nullptr) {
    static thread_local Scratch scratch;
    float* made = scratch.get((k_end - k) * plan.n);
    asked.made_b->make(asked.made_b->of, k, k_end, 0, plan.n, made, plan.n);
    from = transposed(row_major(made, plan.n));
    row = k;
  }
  float* to = packed_b + (k - first) / kernels.step * kernels.panel;
  for (int64_t panel = panels.first; panel < panels.last; ++panel)
    kernels.pack_b(from, panel * kernels.panel, plan.n, k - row, k_end - row, to + panel * plan.panel_size(),
                   plan.b_plane());
}

// B, by all threads of the team.
static void pack_panels(const Plan& plan, const Request& asked, float* packed_b, int64_t threads) {
  const bool made = asked.made_b != nullptr, neighbours = !made && asked.b.row_stride == 1;
  const int64_t most = (made ? kWordsOfAMadeRun : kWordsOfARun) * plan.kernels.step;
  const int64_t runs = neighbours ? 1 : divided_up(plan.depth, most);
  const int64_t wanted = neighbours ? plan.panels : made ? 1 : divided_up(kTasksOfAThread * threads, runs);
  const int64_t parts = std::min(plan.panels, wanted);
#pragma omp for schedule(dynamic)
  for (int64_t i = 0; i < plan.depths * runs * parts; ++i) {
    const int64_t block = i / (runs * parts), first = block * plan.depth, end = plan.end_of(block);
    const int64_t k = first + i / parts % runs * most, k_end = neighbours ? end : std::min(end, k + most);
    if (k < k_end)
      pack_run(plan, part_of(plan.panels, i % parts, parts), k, k_end, first, asked,
               packed_b + block * plan.panels * plan.panel_size());
  }
}

// Strips of A from k to k_end, side by side along k of a block that begins at `first`.
static void pack_strips(const Plan& plan, Range strips, int64_t k, int64_t k_end, int64_t first, const Request& asked,
                        float* packed_a, int64_t a_plane) {
  const Kernels& kernels = plan.kernels;
  static thread_local Scratch scratch;
  const int64_t stride = k_end - k + 16;
  float* made = asked.made_a == nullptr ? nullptr : scratch.get(kernels.strip * stride);
  float* to = packed_a + (k - first) / kernels.step * kernels.strip;
  for (int64_t strip = strips.first; strip < strips.last; ++strip, to += plan.strip_size()) {
    const int64_t row = strip * kernels.strip, row_end = std::min(plan.m, row + kernels.strip);
    if (made == nullptr) {
      kernels.pack_a(asked.a, row, plan.m, k, k_end, to, a_plane);
    } else {
      asked.made_a->make(asked.made_a->of, row, row_end, k, k_end, made, stride);
      kernels.pack_a({made, stride, 1}, 0, row_end - row, 0, k_end - k, to, a_plane);
    }
  }
}

// Complete sums of a task to where they go.
static void finish_part(const Plan& plan, Range strips, Range panels, const Request& asked, const float* sums,
                        int64_t stride) {
  const Kernels& kernels = plan.kernels;
  const int64_t row = strips.first * kernels.strip, row_end = std::min(plan.m, strips.last * kernels.strip);
  if (asked.taken != nullptr) {
    asked.taken->take(asked.taken->into, sums, stride, row, row_end);
    return;
  }
  const Product& product = asked.product;
  const int64_t column = panels.first * kernels.panel;
  kernels.finish(sums, stride, product.data + row * plan.n + column, plan.n, row_end - row,
                 std::min(plan.n, panels.last * kernels.panel) - column,
                 product.bias == nullptr ? nullptr : product.bias + column, product.relu);
}

// A panel of B as words of a block, in the thread's memory: for the one task that uses it.
static const float* own_panel(const Plan& plan, Matrix b, int64_t panel, int64_t block) {
  static thread_local Scratch scratch;
  float* to = scratch.get(plan.kernels.planes * plan.panel_size());
  plan.kernels.pack_b(transposed(b), panel * plan.kernels.panel, plan.n, block * plan.depth, plan.end_of(block), to,
                      plan.panel_size());
  return to;
}

// The strips and panels of a task, with B packed, unless `packed_b` is null. Sums stay in the thread's memory until
// they are complete: block by block where the product goes, each would touch a page for each of its rows.
static void multiply_part(const Plan& plan, Range strips, Range panels, const Request& asked, const float* packed_b,
                          float* packed_a, float* sums) {
  const Kernels& kernels = plan.kernels;
  const int64_t a_plane = strips.size() * plan.strip_size(), stride = plan.sums_stride(panels.size());
  const int64_t b_plane = packed_b == nullptr ? plan.panel_size() : plan.b_plane();
  const bool neighbours = asked.made_a != nullptr || asked.a.column_stride == 1;
  for (int64_t block = 0; block < plan.depths; ++block) {
    const int64_t first = block * plan.depth;
    for_runs(plan, neighbours, first, plan.end_of(block),
             [&](int64_t k, int64_t k_end) { pack_strips(plan, strips, k, k_end, first, asked, packed_a, a_plane); });
    for (int64_t panel = panels.first; panel < panels.last; ++panel) {
      const float* b = packed_b == nullptr ? own_panel(plan, asked.b, panel, block)
                                           : packed_b + (block * plan.panels + panel) * plan.panel_size();
      float* to = sums + (panel - panels.first) * kernels.panel;
      for (int64_t i = 0; i < strips.size(); ++i, to += kernels.strip * stride)
        kernels.multiply(packed_a + i * plan.strip_size(), a_plane, b, b_plane, plan.words_of(block), to, stride,
                         plan.n - panel * kernels.panel, block > 0);
    }
  }
  finish_part(plan, strips, panels, asked, sums, stride);
}

// Whether the product is of so few numbers, each a sum of so many, that its tasks are the blocks along k: then operands
// that lie by columns, as those of a weight's gradient do, go through memory once. Tiles add a block to what is there,
// number by number, and so have to do one after the other.
static bool is_long(const Plan& plan, const Request& asked, int64_t threads) {
  const Kernels& kernels = plan.kernels;
  const int64_t floats_of_a_block = plan.strips * (plan.strip_size() + kernels.strip * plan.sums_stride(plan.panels));
  return kernels.enter == nullptr && asked.made_a == nullptr && asked.made_b == nullptr && asked.taken == nullptr &&
         plan.depths >= kTasksOfAThread * threads && floats_of_a_block <= 2 * floats_of_a_task();
}

// The sums of each block, added in the order of the blocks as `multiply_part` adds them.
static void compute_long(const Plan& plan, const Request& asked) {
  const Kernels& kernels = plan.kernels;
  const Range strips{0, plan.strips};
  const int64_t stride = plan.sums_stride(plan.panels), floats = plan.strips * kernels.strip * stride;
  const int64_t a_plane = plan.strips * plan.strip_size();
  static thread_local Scratch shared;
  float* sums = shared.get(plan.depths * floats);
#pragma omp parallel for schedule(dynamic)
  for (int64_t block = 0; block < plan.depths; ++block) {
    static thread_local Scratch own_a;
    float* packed_a = own_a.get(kernels.planes * a_plane);
    const int64_t first = block * plan.depth;
    for_runs(plan, asked.a.column_stride == 1, first, plan.end_of(block),
             [&](int64_t k, int64_t k_end) { pack_strips(plan, strips, k, k_end, first, asked, packed_a, a_plane); });
    for (int64_t panel = 0; panel < plan.panels; ++panel) {
      const float* b = own_panel(plan, asked.b, panel, block);
      float* to = sums + block * floats + panel * kernels.panel;
      for (int64_t i = 0; i < plan.strips; ++i, to += kernels.strip * stride)
        kernels.multiply(packed_a + i * plan.strip_size(), a_plane, b, plan.panel_size(), plan.words_of(block), to,
                         stride, plan.n - panel * kernels.panel, false);
    }
  }
  for (int64_t block = 1; block < plan.depths; ++block)
    for (int64_t at = 0; at < floats; ++at) sums[at] += sums[block * floats + at];
  finish_part(plan, strips, {0, plan.panels}, asked, sums, stride);
}

// Every number of the product is a sum over k in one order, by blocks of `depth`: which thread computes it, and with
// how many neighbours, does not matter to its bits.
static void compute(const Plan& plan, const Request& asked) {
  const Kernels& kernels = plan.kernels;
  const int64_t threads = omp_get_max_threads();
  if (is_long(plan, asked, threads)) {
    compute_long(plan, asked);
    return;
  }
  const Tasks tasks(plan, threads, asked.taken != nullptr);
  static thread_local Scratch shared;
  // Panels of the only task of some columns need not go through memory once more.
  const bool of_one_task = tasks.rows == 1 && asked.made_b == nullptr;
  float* packed_b = of_one_task ? nullptr : shared.get(kernels.planes * plan.b_plane());
#pragma omp parallel
  {
    if (kernels.enter != nullptr) kernels.enter();
    if (!of_one_task) pack_panels(plan, asked, packed_b, threads);
    static thread_local Scratch own_a, own_sums;
    float* packed_a = own_a.get(kernels.planes * tasks.strips * plan.strip_size());
    float* sums = own_sums.get(tasks.strips * kernels.strip * plan.sums_stride(tasks.panels));
#pragma omp for schedule(dynamic)
    for (int64_t task = 0; task < tasks.rows * tasks.columns; ++task)
      multiply_part(plan, part_of(plan.strips, task / tasks.columns, tasks.rows),
                    part_of(plan.panels, task % tasks.columns, tasks.columns), asked, packed_b, packed_a, sums);
    if (kernels.leave != nullptr) kernels.leave();
  }
}

void matrix_product(Precision precision, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, Product product) {
  compute(Plan(precision, m, n, k), {a, b, product, nullptr, nullptr, nullptr});
}

void matrix_product(Precision precision, int64_t m, int64_t n, int64_t k, MadeRows a, Matrix b, Product product) {
  compute(Plan(precision, m, n, k), {{}, b, product, &a, nullptr, nullptr});
}

void matrix_product(Precision precision, int64_t m, int64_t n, int64_t k, Matrix a, MadeRows b, Product product) {
  compute(Plan(precision, m, n, k), {a, {}, product, nullptr, &b, nullptr});
}

void matrix_product(Precision precision, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, TakenRows rows) {
  compute(Plan(precision, m, n, k), {a, b, {}, nullptr, nullptr, &rows});
}

}  // namespace pnn

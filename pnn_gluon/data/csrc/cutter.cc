// Blocks of delimited lines -> typed columns: numbers, texts with a dictionary,
// texts one by one. What a line means is said by sql/ingest_rows.sql; this does
// the same to every byte.
#include <algorithm>
#include <memory>

#include "kernels.h"
#include "text_dictionary.h"
#include "text_rules.h"

namespace pnn {
namespace {

enum Kind : uint8_t { kText = 0, kNumber = 1, kPlain = 2 };
enum Fault : uint8_t { kEmpty = 0, kWidth = 1, kNotUtf8 = 2, kHoldsNul = 3, kTooLong = 4 };

constexpr int64_t kLines = 2048;  // whose marks and cells are in the cache together

struct BadLine {
  int32_t line, fault, width, start, length;
};

struct Column {
  int32_t place = 0;  // of the cell in its line
  Kind kind = kText;
  bool has_missing = false;
  int64_t nulls = 0;
  TextDictionary dictionary;
  std::vector<int32_t> codes;    // kText: places in the dictionary
  std::vector<double> numbers;   // kNumber
  std::vector<int32_t> offsets;  // kPlain
  std::vector<uint8_t> bytes;    // kPlain
  std::vector<uint8_t> valid;    // a bit for each row, the lowest first
};

struct Cell {
  const uint8_t* text;
  int32_t length;
};

class Cutter {
 public:
  Cutter(const Kernels& kernels, int32_t width, uint8_t delimiter, int64_t longest)
      : kernels_(kernels), width_(width), delimiter_(delimiter), longest_(longest), newline_(kLines + 64) {}

  void add_column(int32_t place, Kind kind, bool has_missing) {
    Column column;
    column.place = place;
    column.kind = kind;
    column.has_missing = has_missing;
    columns.push_back(std::move(column));
  }
  void add_missing(const char* text, int32_t length) { missing_.emplace_back(text, static_cast<size_t>(length)); }

  // Cuts the lines of a block, which ends with a newline, but for `skipped`
  // ones; gives their number.
  int64_t cut(const uint8_t* data, int64_t size, int64_t skipped) {
    clear();
    int64_t at = 0, line = 0;
    while (at < size) {
      Marks marks = marks_from(data + at, size - at);
      const int64_t lines = std::min(newlines_, kLines);
      read_lines(data, at, line, lines, skipped, marks);
      read_columns();
      line += lines;
      at += place_[static_cast<size_t>(newline_[static_cast<size_t>(lines - 1)])] + 1;
    }
    return line - skipped;
  }

  std::vector<Column> columns;
  std::vector<int32_t> lines, starts, lengths;  // of the good lines
  std::vector<int32_t> bad_number;              // of the good lines: the first column that
                                                // is no number, or -1
  std::vector<BadLine> bad_lines;

 private:
  void clear() {
    lines.clear();
    starts.clear();
    lengths.clear();
    bad_number.clear();
    bad_lines.clear();
    for (Column& column : columns) {
      column.nulls = 0;
      column.dictionary.clear();
      column.codes.clear();
      column.numbers.clear();
      column.offsets.assign(1, 0);
      column.bytes.clear();
      column.valid.clear();
    }
  }

  // The marks of some lines, of one at least.
  Marks marks_from(const uint8_t* data, int64_t size) {
    if (place_.empty()) place_.resize(1 << 18);
    for (;;) {
      Marks marks = {place_.data(), newline_.data(), static_cast<int64_t>(place_.size()), 0, false, false};
      newlines_ = kernels_.find_marks(data, size, delimiter_, kLines, &marks);
      if (newlines_ > 0) return marks;
      place_.resize(4 * place_.size());  // a line of more cells than that
    }
  }

  // Sorts the lines into good and bad ones; `cells_` has the good ones' first
  // marks, and where they start and end.
  void read_lines(const uint8_t* data, int64_t from, int64_t first, int64_t count, int64_t skipped,
                  const Marks& marks) {
    data_ = data + from;
    good_.clear();
    int32_t mark = 0, start = 0;
    for (int64_t i = 0; i < count; ++i) {
      const int32_t last = newline_[static_cast<size_t>(i)], end = place_[static_cast<size_t>(last)];
      const bool returned = end > start && data_[end - 1] == '\r';
      const Good line = {mark, start, end - (returned ? 1 : 0)};
      const int32_t cells = last - mark + 1;
      mark = last + 1;
      start = end + 1;
      if (first + i < skipped) continue;
      const int32_t fault = fault_of(line, cells, marks), place = static_cast<int32_t>(from + line.start);
      if (fault >= 0) {
        bad_lines.push_back({static_cast<int32_t>(first + i), fault, cells, place, line.end - line.start});
        continue;
      }
      good_.push_back(line);
      lines.push_back(static_cast<int32_t>(first + i));
      starts.push_back(place);
      lengths.push_back(line.end - line.start);
      bad_number.push_back(-1);
    }
  }

  struct Good {
    int32_t mark, start, end;
  };

  int32_t fault_of(const Good& line, int32_t cells, const Marks& marks) const {
    const int64_t length = line.end - line.start;
    const uint8_t* text = data_ + line.start;
    if (length > longest_) return kTooLong;
    if (marks.zero && std::memchr(text, 0, static_cast<size_t>(length)) != nullptr) return kHoldsNul;
    if (marks.high && !is_utf8(text, length)) return kNotUtf8;
    if (length == 0) return kEmpty;
    return cells == width_ ? -1 : kWidth;
  }

  Cell cell(const Good& line, int32_t place) const {
    const int32_t *marks = place_.data() + line.mark, last = width_ - 1;
    int32_t start = place > 0 ? marks[place - 1] + 1 : line.start, end = place < last ? marks[place] : line.end;
    while (start < end && data_[start] == ' ') ++start;
    while (start < end && data_[end - 1] == ' ') --end;
    return {data_ + start, end - start};
  }

  bool is_missing(const Cell& cell) const {
    return std::any_of(missing_.begin(), missing_.end(), [&](const std::string& text) {
      return text.size() == static_cast<size_t>(cell.length) && std::memcmp(text.data(), cell.text, text.size()) == 0;
    });
  }

  void read_columns() {
    const size_t before = lines.size() - good_.size();
    for (size_t number = 0; number < columns.size(); ++number) {
      Column& column = columns[number];
      column.valid.resize((lines.size() + 7) / 8);
      if (column.kind == kNumber)
        read_numbers(column, before, static_cast<int32_t>(number));
      else if (column.kind == kText)
        read_texts(column, before);
      else
        read_plain(column, before);
    }
  }

  static void set_valid(Column& column, size_t row) {
    column.valid[row / 8] = static_cast<uint8_t>(column.valid[row / 8] | 1u << row % 8);
  }

  // The cell of a good line; null, and counted, where it is missing.
  bool present(Column& column, size_t i, size_t row, Cell* found) {
    *found = cell(good_[i], column.place);
    if (column.has_missing && is_missing(*found)) {
      ++column.nulls;
      return false;
    }
    set_valid(column, row);
    return true;
  }

  void read_numbers(Column& column, size_t before, int32_t number) {
    column.numbers.resize(lines.size());
    for (size_t i = 0, row = before; i < good_.size(); ++i, ++row) {
      Cell found;
      double value = 0;
      if (present(column, i, row, &found) && !read_number(found.text, found.length, &value)) {
        value = 0;
        if (bad_number[row] < 0) bad_number[row] = number;
      }
      column.numbers[row] = value;
    }
  }

  void read_texts(Column& column, size_t before) {
    constexpr size_t kAhead = 12;
    column.codes.resize(lines.size());
    cells_.resize(good_.size());
    keys_.resize(good_.size());
    hashes_.resize(good_.size());
    for (size_t i = 0; i < good_.size(); ++i) {
      if (!present(column, i, before + i, &cells_[i])) cells_[i].length = -1;
      keys_[i] = cells_[i].length < 0 ? 0 : key_of(cells_[i].text, static_cast<size_t>(cells_[i].length));
      hashes_[i] = TextDictionary::spread(keys_[i]);
    }
    for (size_t i = 0; i < good_.size(); ++i) {
      if (i + kAhead < good_.size()) column.dictionary.prefetch(hashes_[i + kAhead]);
      const Cell& found = cells_[i];
      column.codes[before + i] =
          found.length < 0 ? 0 : column.dictionary.place(keys_[i], hashes_[i], found.text, found.length);
    }
  }

  void read_plain(Column& column, size_t before) {
    for (size_t i = 0; i < good_.size(); ++i) {
      Cell found;
      if (present(column, i, before + i, &found))
        column.bytes.insert(column.bytes.end(), found.text, found.text + found.length);
      column.offsets.push_back(static_cast<int32_t>(column.bytes.size()));
    }
  }

  const Kernels& kernels_;
  int32_t width_;
  uint8_t delimiter_;
  int64_t longest_;
  std::vector<std::string> missing_;
  std::vector<int32_t> place_, newline_;
  int64_t newlines_ = 0;
  const uint8_t* data_ = nullptr;  // where the lines start whose marks are known
  std::vector<Good> good_;
  std::vector<Cell> cells_;
  std::vector<uint64_t> keys_, hashes_;
};

struct View {
  const void* data;
  int64_t count;
};

template <typename T>
View view(const std::vector<T>& values) {
  return {values.data(), static_cast<int64_t>(values.size())};
}

View view_of(const Cutter& cutter, const std::string& what, int32_t number) {
  if (what == "lines") return view(cutter.lines);
  if (what == "starts") return view(cutter.starts);
  if (what == "lengths") return view(cutter.lengths);
  if (what == "bad_number") return view(cutter.bad_number);
  if (what == "bad_lines") return {cutter.bad_lines.data(), static_cast<int64_t>(5 * cutter.bad_lines.size())};
  const Column& column = cutter.columns[static_cast<size_t>(number)];
  const bool text = column.kind == kText;
  if (what == "codes") return view(column.codes);
  if (what == "numbers") return view(column.numbers);
  if (what == "offsets") return view(text ? column.dictionary.offsets() : column.offsets);
  if (what == "bytes") return view(text ? column.dictionary.bytes() : column.bytes);
  if (what == "valid") return {column.valid.data(), column.nulls == 0 ? 0 : static_cast<int64_t>(column.valid.size())};
  return {nullptr, -1};
}

const char kDigits[] = "0123456789abcdef";

// 16 messages, padded to whole blocks as MD5 wants it.
struct Messages {
  std::vector<uint8_t> bytes[16];

  void set(size_t lane, const char* prefix, size_t prefix_length, const uint8_t* text, size_t length) {
    std::vector<uint8_t>& message = bytes[lane];
    const size_t whole = prefix_length + length;
    message.assign((whole + 8) / 64 * 64 + 64, 0);
    std::memcpy(message.data(), prefix, prefix_length);
    if (length > 0) std::memcpy(message.data() + prefix_length, text, length);
    message[whole] = 0x80;
    for (size_t i = 0; i < 8; ++i)
      message[message.size() - 8 + i] = static_cast<uint8_t>(static_cast<uint64_t>(whole) * 8 >> 8 * i);
  }

  void digest(const Kernels& kernels, size_t count, uint8_t* hexadecimal) {
    size_t blocks = 0;
    for (size_t lane = 0; lane < count; ++lane) blocks = std::max(blocks, bytes[lane].size() / 64);
    Words state[4] = {Words{} + 0x67452301u, Words{} + 0xefcdab89u, Words{} + 0x98badcfeu, Words{} + 0x10325476u};
    for (size_t block = 0; block < blocks; ++block) {
      Words words[16] = {}, after[4] = {state[0], state[1], state[2], state[3]};
      for (size_t lane = 0; lane < count; ++lane)
        for (size_t i = 0; i < 16 && block < bytes[lane].size() / 64; ++i) {
          const uint8_t* byte = bytes[lane].data() + 64 * block + 4 * i;
          words[i][lane] = static_cast<uint32_t>(byte[0]) | static_cast<uint32_t>(byte[1]) << 8 |
                           static_cast<uint32_t>(byte[2]) << 16 | static_cast<uint32_t>(byte[3]) << 24;
        }
      kernels.md5_block(words, after);
      for (size_t lane = 0; lane < count; ++lane)
        if (block < bytes[lane].size() / 64)
          for (size_t i = 0; i < 4; ++i) state[i][lane] = after[i][lane];
    }
    for (size_t lane = 0; lane < count; ++lane)
      for (size_t i = 0; i < 16; ++i) {
        const uint32_t byte = state[i / 4][lane] >> 8 * (i % 4) & 0xFF;
        *hexadecimal++ = static_cast<uint8_t>(kDigits[byte >> 4]);
        *hexadecimal++ = static_cast<uint8_t>(kDigits[byte & 15]);
      }
  }
};

}  // namespace
}  // namespace pnn

extern "C" {

// Whether the processor offers an instruction set.
int pnn_cut_offers(const char* isa) { return pnn::kernels_of(isa) != nullptr; }

// Cuts lines of `width` cells into `columns` columns: the place of each in a
// line, its kind (0 texts with a dictionary, 1 numbers, 2 texts one by one),
// and whether the missing texts are nulls in it.
void* pnn_cut_new(const char* isa, int32_t width, int32_t delimiter, int64_t longest, int32_t columns,
                  const int32_t* places, const int32_t* kinds, const int32_t* has_missing, int32_t missing,
                  const char* const* missing_texts, const int32_t* missing_lengths) {
  auto cutter = std::make_unique<pnn::Cutter>(*pnn::kernels_of(isa), width, static_cast<uint8_t>(delimiter), longest);
  for (int32_t i = 0; i < columns; ++i)
    cutter->add_column(places[i], static_cast<pnn::Kind>(kinds[i]), has_missing[i] != 0);
  for (int32_t i = 0; i < missing; ++i) cutter->add_missing(missing_texts[i], missing_lengths[i]);
  return cutter.release();
}

void pnn_cut_free(void* cutter) { delete static_cast<pnn::Cutter*>(cutter); }

// Cuts a block, which ends with a newline, but for its first `skipped` lines;
// gives the number of lines.
int64_t pnn_cut_block(void* cutter, const uint8_t* data, int64_t size, int64_t skipped) {
  return static_cast<pnn::Cutter*>(cutter)->cut(data, size, skipped);
}

// A part of what came out of the block, until the next one; -1 for the count of
// a part that there is not.
const void* pnn_cut_part(void* cutter, const char* what, int32_t column, int64_t* count) {
  const pnn::View found = pnn::view_of(*static_cast<pnn::Cutter*>(cutter), what, column);
  *count = found.count;
  return found.data;
}

// md5(prefix || text) of each text, 32 hexadecimal digits each.
void pnn_md5_texts(const char* isa, const char* prefix, int64_t prefix_length, const int32_t* offsets,
                   const uint8_t* bytes, int64_t count, uint8_t* hexadecimal) {
  const pnn::Kernels& kernels = *pnn::kernels_of(isa);
  pnn::Messages messages;
  for (int64_t first = 0; first < count; first += 16) {
    const int64_t some = std::min<int64_t>(16, count - first);
    for (int64_t i = 0; i < some; ++i) {
      const int64_t at = offsets[first + i];
      messages.set(static_cast<size_t>(i), prefix, static_cast<size_t>(prefix_length), bytes + at,
                   static_cast<size_t>(offsets[first + i + 1] - at));
    }
    messages.digest(kernels, static_cast<size_t>(some), hexadecimal + 32 * first);
  }
}

}  // extern "C"

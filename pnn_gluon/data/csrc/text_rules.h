// What is a number and what is text, as the SQL functions of ingest have it.
#pragma once
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace pnn {

// Whether bytes are UTF-8 (RFC 3629): no surrogates, no longer form than
// needed, nothing above U+10FFFF.
inline bool is_utf8(const uint8_t* text, int64_t length) {
  for (int64_t i = 0; i < length;) {
    const uint8_t first = text[i++];
    if (first < 0x80) continue;
    const int more = first >= 0xC2 && first < 0xE0   ? 1
                     : (first & 0xF0) == 0xE0        ? 2
                     : first >= 0xF0 && first < 0xF5 ? 3
                                                     : 0;
    if (more == 0 || i + more > length) return false;
    const uint8_t low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    const uint8_t high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (text[i] < low || text[i] > high) return false;
    for (int k = 1; k < more; ++k)
      if ((text[i + k] & 0xC0) != 0x80) return false;
    i += more;
  }
  return true;
}

inline int64_t digits_from(const uint8_t* text, int64_t at, int64_t length) {
  while (at < length && static_cast<uint8_t>(text[at] - '0') < 10) ++at;
  return at;
}

// try_number: [+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,3})? and
// finite; the nearest double.
inline bool read_number(const uint8_t* text, int64_t length, double* number) {
  const bool sign = length > 0 && (text[0] == '-' || text[0] == '+');
  const int64_t start = sign ? 1 : 0, whole = digits_from(text, start, length);
  if (whole == length && whole > start && whole - start <= 15) {
    int64_t value = 0;
    for (int64_t i = start; i < whole; ++i) value = 10 * value + (text[i] - '0');
    *number = sign && text[0] == '-' ? -static_cast<double>(value) : static_cast<double>(value);
    return true;
  }
  int64_t at = whole;
  if (at < length && text[at] == '.') {
    const int64_t end = digits_from(text, at + 1, length);
    if (whole == start && end == at + 1) return false;
    at = end;
  } else if (whole == start) {
    return false;
  }
  if (at < length && (text[at] | 0x20) == 'e') {
    ++at;
    if (at < length && (text[at] == '+' || text[at] == '-')) ++at;
    const int64_t end = digits_from(text, at, length);
    if (end == at || end - at > 3) return false;
    at = end;
  }
  if (at != length) return false;
  const char *begin = reinterpret_cast<const char*>(text) + (text[0] == '+' ? 1 : 0),
             *end = reinterpret_cast<const char*>(text) + length;
  if (std::from_chars(begin, end, *number).ec == std::errc::result_out_of_range)
    *number = std::strtod(std::string(begin, end).c_str(), nullptr);
  return std::isfinite(*number);
}

}  // namespace pnn

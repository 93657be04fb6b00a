// Distinct texts in the order of their first appearance. A text of up to 8
// bytes is its own key.
#pragma once
#include <cstdint>
#include <cstring>
#include <vector>

namespace pnn {

inline uint64_t mixed(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

inline uint64_t up_to_8_bytes(const uint8_t* text, size_t length) {
  uint64_t word = 0;
  std::memcpy(&word, text, length);
  return word;
}

inline uint64_t key_of(const uint8_t* text, size_t length) {
  if (length <= 8) return up_to_8_bytes(text, length);
  uint64_t key = 0x9e3779b97f4a7c15u ^ length;
  for (; length > 8; text += 8, length -= 8) key = mixed(key ^ up_to_8_bytes(text, 8), 0xa0761d6478bd642fu);
  return mixed(key ^ up_to_8_bytes(text, length), 0xe7037ed1a0b428dbu);
}

class TextDictionary {
 public:
  TextDictionary() : slots_(1024), offsets_{0} {}

  void clear() {
    slots_.assign(slots_.size(), Slot{});
    offsets_.resize(1);
    bytes_.clear();
  }

  static uint64_t spread(uint64_t key) { return mixed(key ^ 0x8ebc6af09c88c6e3u, 0x589965cc75374cc3u); }
  void prefetch(uint64_t hash) const { __builtin_prefetch(&slots_[hash & (slots_.size() - 1)]); }

  // The place of a text, whose key and its spread are given; a new one is
  // added.
  int32_t place(uint64_t key, uint64_t hash, const uint8_t* text, int32_t length) {
    const uint64_t mask = slots_.size() - 1;
    uint64_t at = hash & mask;
    for (; slots_[at].place >= 0; at = (at + 1) & mask)
      if (is(slots_[at], key, text, length)) return slots_[at].place;
    const auto added = static_cast<int32_t>(offsets_.size() - 1);
    slots_[at] = Slot{key, added, length};
    bytes_.insert(bytes_.end(), text, text + length);
    offsets_.push_back(static_cast<int32_t>(bytes_.size()));
    if (2 * offsets_.size() > slots_.size()) grow();
    return added;
  }

  const std::vector<int32_t>& offsets() const { return offsets_; }
  const std::vector<uint8_t>& bytes() const { return bytes_; }

 private:
  struct Slot {
    uint64_t key = 0;
    int32_t place = -1, length = 0;
  };

  bool is(const Slot& slot, uint64_t key, const uint8_t* text, int32_t length) const {
    if (slot.key != key || slot.length != length) return false;
    return length <= 8 || std::memcmp(bytes_.data() + offsets_[static_cast<size_t>(slot.place)], text,
                                      static_cast<size_t>(length)) == 0;
  }

  void grow() {
    std::vector<Slot> before(4 * slots_.size());
    before.swap(slots_);
    const uint64_t mask = slots_.size() - 1;
    for (const Slot& slot : before) {
      if (slot.place < 0) continue;
      uint64_t at = spread(slot.key) & mask;
      while (slots_[at].place >= 0) at = (at + 1) & mask;
      slots_[at] = slot;
    }
  }

  std::vector<Slot> slots_;
  std::vector<int32_t> offsets_;
  std::vector<uint8_t> bytes_;
};

}  // namespace pnn

// The attribute `precision` of an operator: f32 | x3 | bf16, f32 if left out.
#pragma once

#include "common.h"
#include "matrix_product.h"

namespace pnn {

inline bool names_precision(const Attributes& attributes) {
  const std::string name = text(attributes, "precision", "f32");
  return name == "f32" || name == "x3" || name == "bf16";
}

inline Precision precision_of(const Attributes& attributes) {
  const std::string name = text(attributes, "precision", "f32");
  return name == "bf16" ? Precision::bf16 : name == "x3" ? Precision::x3 : Precision::f32;
}

}  // namespace pnn

// Random annotated graphs.
#pragma once

#include "support.hpp"

namespace quoin::quantize::test {

// Convolutions, linears, sums, products, clamps, pools and data movement over values of shape [1, 4, 6, 6].
class RandomGraph {
 public:
  static inline const Shape kShape{1, 4, 6, 6};
  Model model;

  // `computes` nodes that accumulate, with up to two that carry integers around each.
  RandomGraph(unsigned seed, int computes) : engine_(seed) {
    values_ = {model.input(kShape, "x"), model.input(kShape, "y")};
    for (int i = 0; i < computes; ++i) {
      carry_some();
      compute();
      carry_some();
    }
    model.graph.set_outputs({values_.back()});
  }

 private:
  size_t pick(size_t count) { return std::uniform_int_distribution<size_t>(0, count - 1)(engine_); }
  ir::ValueId recent() { return values_[values_.size() - 1 - pick(2)]; }
  bool likely() { return pick(5) != 0; }

  void compute() {
    const size_t kind = pick(4);
    if (kind == 0) return binary("aten.add.Tensor");
    if (kind == 1) return binary("aten.mul.Tensor");
    product(kind == 2);
  }
  void product(bool convolution) {
    const auto seed = static_cast<unsigned>(engine_());
    const Shape shape = convolution ? Shape{4, 4, 3, 3} : Shape{6, 6};
    const ir::ValueId w = model.constant(random_tensor(shape, seed, -0.3f, 0.3f));
    const ir::ValueId b = model.constant(random_tensor({shape[0]}, seed + 1));
    const Attrs padding{{"padding", std::vector<int64_t>{1, 1}}};
    const auto id = convolution ? model.add("aten.conv2d.default", {recent(), w, b}, padding)
                                : model.add("aten.linear.default", {recent(), w, b});
    if (likely()) model.annotate_product(id, likely(), weight(pick(2) == 0 ? 0 : -1));
    values_.push_back(model.value(id));
  }
  void binary(const char* op) {
    const auto id = model.add(op, {recent(), recent()});
    if (likely()) model.annotate_all(id);
    values_.push_back(model.value(id));
  }
  void carry_some() {
    for (size_t i = pick(3); i > 0; --i) carry();
  }
  void carry() {
    using Ints = std::vector<int64_t>;
    static const std::vector<std::pair<const char*, Attrs>> kinds{
        {"aten.hardtanh.default", {{"min_val", -0.7}, {"max_val", 0.9}}},
        {"aten.relu.default", {}},
        {"aten.transpose.int", {{"dim0", int64_t{2}}, {"dim1", int64_t{3}}}},
        {"aten.max_pool2d.default", {{"kernel_size", Ints{3, 3}}, {"stride", Ints{1, 1}}, {"padding", Ints{1, 1}}}}};
    const auto& [op, attrs] = kinds[pick(kinds.size())];
    const auto id = model.add(op, {recent()}, attrs);
    if (likely()) {
      model.annotate(test::in(id), activation());
      model.annotate(test::out(id), share(test::in(id)));
    }
    values_.push_back(model.value(id));
  }

  std::mt19937 engine_;
  std::vector<ir::ValueId> values_;
};

}  // namespace quoin::quantize::test

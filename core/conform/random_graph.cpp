#include "conform/random_graph.hpp"

#include <algorithm>

namespace quoin::conform {
namespace {

using Ints = std::vector<int64_t>;

class Maker {
 public:
  explicit Maker(Dice& dice) : dice_(dice) {}

  ir::Graph run() {
    graph_.name = "random";
    channels_ = dice_.of<int64_t>({2, 4, 6});
    const auto inputs = dice_.between(1, 3);
    for (int64_t i = 0; i < inputs; ++i) {
      const Shape image{1, channels_, 6, 6};
      const Shape shape = i == 0 ? image : dice_.of<Shape>({image, {1, channels_, 8}, {2, 8}, {2, 3, 8}});
      keep(graph_.add_input(dice_.of<std::string>({"x", "input:0", "y"}), {DType::f32, shape, nullptr}), 1);
    }
    const auto nodes = dice_.between(1, 14);
    for (int64_t i = 0; i < nodes; ++i) {
      change_module();
      add_something();
    }
    choose_outputs();
    return std::move(graph_);
  }

 private:
  // -- values and what is known about them

  void keep(ir::ValueId id, float bound) {
    values_.push_back(id);
    bound_.resize(std::max<size_t>(bound_.size(), id + 1), 0);
    bound_[id] = bound;
  }
  const Shape& shape(ir::ValueId id) const { return graph_.value(id).type.shape; }
  // One of the last values (mostly), with this rank (0: any) or else the last one; large values are clamped first.
  ir::ValueId pick(size_t rank = 0) {
    std::vector<ir::ValueId> fitting;
    for (const ir::ValueId id : values_)
      if (rank == 0 || shape(id).size() == rank) fitting.push_back(id);
    if (fitting.empty()) return ir::kNone;
    const size_t recent = dice_.chance(75) ? std::min<size_t>(2, fitting.size()) : fitting.size();
    const ir::ValueId id = fitting[fitting.size() - 1 - dice_.below(recent)];
    if (bound_[id] < 1e3f) return id;
    const ir::ValueId clamped = add("aten.hardtanh.default", {id}, {{"min_val", -4.0}, {"max_val", 4.0}}, 4);
    return clamped == ir::kNone ? id : clamped;
  }

  // A node; kNone where shapes do not fit, which random graphs may try.
  ir::ValueId add(std::string_view op, std::vector<ir::ValueId> inputs, Attrs attrs, float bound) {
    if (std::ranges::find(inputs, ir::kNone) != inputs.end() && op != kConvolution && op != kLinear) return ir::kNone;
    ir::Provenance provenance;
    provenance.modules = modules_;
    provenance.debug_id = graph_.node_capacity() + 1;
    if (dice_.chance(30)) provenance.source = "model.py:" + std::to_string(provenance.debug_id);
    const auto id = graph_.add_node(op, std::move(inputs), std::move(attrs), {}, std::move(provenance));
    if (!id) return ir::kNone;
    const ir::ValueId out = graph_.output(*id);
    if (numel(shape(out)) > 4096) return ir::kNone;  // nobody reads it, so the clean-up drops it
    keep(out, bound);
    return out;
  }
  ir::ValueId weight(Shape shape, float low = -0.4f, float high = 0.4f) {
    for (const ir::ValueId id : constants_)  // shared weights
      if (this->shape(id) == shape && dice_.chance(30) && low < 0) return id;
    Tensor tensor = dice_.tensor(std::move(shape), low, high);
    if (dice_.chance(10))  // a dead channel
      std::fill_n(tensor.as<float>().begin(), numel(tensor.shape()) / tensor.shape()[0], 0.0f);
    const ir::ValueId id = graph_.add_constant("w", std::move(tensor));
    if (low < 0) constants_.push_back(id);
    return id;
  }
  void change_module() {
    if (dice_.chance(40)) modules_.resize(dice_.below(modules_.size() + 1));
    while (modules_.size() < 3 && dice_.chance(35)) {
      const std::string outer = modules_.empty() ? "" : modules_.back().path + ".";
      const std::string type = dice_.of<std::string>({"torch.nn.Conv2d", "net.Block", "torch.nn.Linear"});
      modules_.push_back({outer + std::to_string(dice_.below(3)), type});
    }
  }

  // -- nodes

  void add_something() {
    using Add = void (Maker::*)();
    static const std::vector<Add> kAll{
        &Maker::convolution, &Maker::convolution, &Maker::transposed, &Maker::convolution1d, &Maker::linear,
        &Maker::linear,      &Maker::matmul,      &Maker::binary,     &Maker::binary,        &Maker::scalar,
        &Maker::join,        &Maker::pool,        &Maker::unary,      &Maker::unary,         &Maker::normalize,
        &Maker::move,        &Maker::move,        &Maker::nothing};
    (this->*dice_.of(kAll))();
  }
  ir::ValueId bias(int64_t count) { return dice_.chance(75) ? weight({count}) : ir::kNone; }

  void convolution() {
    const ir::ValueId x = pick(4);
    if (x == ir::kNone) return;
    const int64_t in = shape(x)[1], kernel = dice_.of<int64_t>({1, 3}), stride = dice_.chance(15) ? 2 : 1;
    const int64_t groups = dice_.chance(30) ? in : dice_.chance(20) && in % 2 == 0 ? 2 : 1;
    const int64_t out = groups * std::max<int64_t>(1, dice_.of<int64_t>({1, 1, 2}) * (groups == 1 ? channels_ / 2 : 1));
    const Attrs attrs{{"padding", Ints{kernel / 2}}, {"stride", Ints{stride}}, {"groups", groups}};
    const ir::ValueId w = weight({out, in / groups, kernel, kernel});
    const ir::ValueId y = add(kConvolution, {x, w, bias(out)}, attrs, grown(x, in / groups * kernel * kernel));
    if (y == ir::kNone || !dice_.chance(50)) return;
    if (dice_.chance(40)) batch_norm(values_.back());
    clamp(values_.back());
  }
  void transposed() {
    const ir::ValueId x = pick(4);
    if (x == ir::kNone || shape(x)[2] > 8) return;
    const int64_t in = shape(x)[1], out = dice_.between(1, 4), groups = dice_.chance(25) && in % 2 == 0 ? 2 : 1;
    const Attrs attrs{{"stride", Ints{dice_.between(1, 2)}}, {"padding", Ints{1}}, {"groups", groups}};
    add("aten.conv_transpose2d.input", {x, weight({in, out, 3, 3}), weight({out * groups})}, attrs, grown(x, in * 9));
  }
  void convolution1d() {
    const ir::ValueId x = pick(3);
    if (x == ir::kNone) return;
    const int64_t in = shape(x)[1], out = dice_.between(1, 5);
    add("aten.conv1d.default", {x, weight({out, in, 3}), weight({out})}, {{"padding", Ints{1}}}, grown(x, in * 3));
  }
  void linear() {
    const ir::ValueId x = pick(dice_.of<size_t>({0, 2, 3}));
    if (x == ir::kNone || shape(x).empty()) return;
    const int64_t in = shape(x).back(), out = dice_.of<int64_t>({4, 8, 5});
    const ir::ValueId w = weight({out, in});
    if (add(kLinear, {x, w, bias(out)}, {}, grown(x, in)) != ir::kNone && dice_.chance(40)) clamp(values_.back());
  }
  void matmul() {
    const ir::ValueId x = pick(3);
    if (x == ir::kNone) return;
    const auto dims = static_cast<int64_t>(shape(x).size());
    const ir::ValueId turned = add("aten.transpose.int", {x}, {{"dim0", dims - 2}, {"dim1", dims - 1}}, bound_[x]);
    const int64_t depth = shape(x).back();
    add(dice_.of<std::string>({"aten.matmul.default", "aten.bmm.default"}), {x, turned}, {},
        bound_[x] * bound_[x] * static_cast<float>(depth));
  }
  void binary() {
    const ir::ValueId a = pick();
    std::vector<ir::ValueId> same;
    for (const ir::ValueId id : values_)
      if (shape(id) == shape(a) && bound_[id] < 1e3f) same.push_back(id);
    ir::ValueId b = dice_.chance(30) || same.empty() ? a : dice_.of(same);  // add(x, x) has two places
    if (dice_.chance(20)) b = weight(dice_.chance(50) ? Shape{1} : shape(a));
    bound_.resize(std::max<size_t>(bound_.size(), b + 1), 1);
    const std::string op =
        dice_.of<std::string>({"aten.add.Tensor", "aten.add.Tensor", "aten.mul.Tensor", "aten.sub.Tensor"});
    if (op == "aten.mul.Tensor") {
      add(op, {a, b}, {}, bound_[a] * bound_[b]);
      return;
    }
    Attrs attrs;
    if (dice_.chance(10)) attrs["alpha"] = 0.5;
    if (add(op, {a, b}, attrs, bound_[a] + bound_[b]) != ir::kNone && dice_.chance(30)) clamp(values_.back());
  }
  void scalar() {
    const ir::ValueId x = pick();
    const std::string op =
        dice_.of<std::string>({"aten.add.Scalar", "aten.mul.Scalar", "aten.sub.Scalar", "aten.div.Scalar"});
    add(op, {x}, {{"other", dice_.of<double>({2.0, 0.5, -1.25, 3.0})}}, bound_[x] * 4 + 3);
  }
  void join() {
    const ir::ValueId a = pick();
    if (shape(a).size() < 2 || numel(shape(a)) > 1000) return;
    ir::ValueId b = pick(shape(a).size());
    if (shape(b) != shape(a)) b = a;
    add("aten.cat.default", dice_.chance(20) ? std::vector{a, b, a} : std::vector{a, b}, {{"dim", int64_t{1}}},
        std::max(bound_[a], bound_[b]));
  }
  void pool() {
    const ir::ValueId x = pick(4);
    if (x == ir::kNone) return;
    switch (dice_.below(4)) {
      case 0:
        add("aten.max_pool2d.default", {x}, {{"kernel_size", Ints{3}}, {"stride", Ints{1}}, {"padding", Ints{1}}},
            bound_[x]);
        return;
      case 1:
        add("aten.avg_pool2d.default", {x}, {{"kernel_size", Ints{2}}}, bound_[x]);
        return;
      case 2:
        add("aten.adaptive_avg_pool2d.default", {x}, {{"output_size", Ints{1, 1}}}, bound_[x]);
        return;
      default:
        add("aten.mean.dim", {x}, {{"dim", Ints{2, 3}}, {"keepdim", dice_.chance(50)}}, bound_[x]);
    }
  }
  void unary() {
    if (dice_.chance(50)) return clamp(pick());
    const ir::ValueId x = pick();
    const std::string op = dice_.of<std::string>({"aten.sigmoid.default", "aten.gelu.default", "aten.tanh.default",
                                                  "aten.silu.default", "aten.hardswish.default",
                                                  "aten.hardsigmoid.default", "aten.abs.default", "aten.neg.default"});
    if (dice_.chance(30) && !shape(x).empty())
      add("aten.softmax.int", {x}, {{"dim", int64_t{-1}}}, 1);
    else
      add(op, {x}, {}, bound_[x] + 1);
  }
  void clamp(ir::ValueId x) {
    switch (dice_.below(4)) {
      case 0:
        add("aten.relu.default", {x}, {}, bound_[x]);
        return;
      case 1:
        add("aten.hardtanh.default", {x}, {{"min_val", 0.0}, {"max_val", 6.0}}, 6);
        return;
      case 2:
        add("aten.hardtanh.default", {x}, {{"min_val", -0.7}, {"max_val", 0.9}}, 1);
        return;
      default:
        add("aten.clamp.default", {x}, {{"min", -0.5}}, bound_[x]);
    }
  }
  void normalize() {
    const ir::ValueId x = pick();
    if (shape(x).size() == 4) return batch_norm(x);
    if (shape(x).empty()) return;
    const int64_t last = shape(x).back();
    add("aten.layer_norm.default", {x, weight({last}), weight({last})}, {{"normalized_shape", Ints{last}}}, 3);
  }
  void batch_norm(ir::ValueId x) {
    const int64_t channels = shape(x)[1];
    add("aten.batch_norm.default",
        {x, weight({channels}, 0.5f, 1.5f), weight({channels}), weight({channels}), weight({channels}, 0.5f, 1.5f)}, {},
        bound_[x] * 2.5f + 1);
  }
  void move() {
    const ir::ValueId x = pick();
    const auto rank = static_cast<int64_t>(shape(x).size());
    if (rank == 0) return;
    switch (dice_.below(6)) {
      case 0: {
        Ints dims(static_cast<size_t>(rank));
        for (size_t i = 0; i < dims.size(); ++i) dims[i] = static_cast<int64_t>((i + 1) % dims.size());
        add("aten.permute.default", {x}, {{"dims", dims}}, bound_[x]);
        return;
      }
      case 1:
        add("aten.transpose.int", {x}, {{"dim0", int64_t{0}}, {"dim1", rank - 1}}, bound_[x]);
        return;
      case 2:
        add("aten.flatten.using_ints", {x}, {{"start_dim", int64_t{1}}}, bound_[x]);
        return;
      case 3:
        add("aten.view.default", {x}, {{"size", Ints{shape(x)[0], -1, shape(x).back()}}}, bound_[x]);
        return;
      case 4:
        add("aten.slice.Tensor", {x}, {{"dim", rank - 1}, {"start", int64_t{0}}, {"end", int64_t{2}}}, bound_[x]);
        return;
      default:
        add("aten.unsqueeze.default", {x}, {{"dim", int64_t{0}}}, bound_[x]);
    }
  }
  void nothing() {
    const ir::ValueId x = pick();
    add(dice_.of<std::string>({"aten.dropout.default", "aten.clone.default", "aten.contiguous.default"}), {x}, {},
        bound_[x]);
  }

  float grown(ir::ValueId x, int64_t terms) const { return bound_[x] * 0.4f * static_cast<float>(terms) + 0.4f; }

  // The values that nobody reads, and sometimes others, an input, or one value twice.
  void choose_outputs() {
    std::vector<ir::ValueId> outputs;
    for (const ir::ValueId id : values_)
      if (graph_.value(id).producer != ir::kNone && (graph_.value(id).users.empty() || dice_.chance(8)))
        outputs.push_back(id);
    if (outputs.empty() || dice_.chance(5)) outputs.push_back(values_.front());
    if (dice_.chance(5)) outputs.push_back(outputs.front());
    graph_.set_outputs(outputs);
  }

  static constexpr std::string_view kConvolution = "aten.conv2d.default", kLinear = "aten.linear.default";
  Dice& dice_;
  ir::Graph graph_;
  int64_t channels_ = 4;
  std::vector<ir::ValueId> values_, constants_;
  std::vector<float> bound_;  // by value: no element is larger in magnitude
  std::vector<ir::ModuleFrame> modules_;
};

}  // namespace

ir::Graph random_graph(Dice& dice) { return Maker(dice).run(); }

}  // namespace quoin::conform

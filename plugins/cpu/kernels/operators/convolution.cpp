// aten.conv2d on NCHW maps without reordering them: weights are the left matrix, the map (or its im2col) the right one.
#include <algorithm>
#include <limits>

#include "adapter.hpp"

namespace quoin::cpu {
namespace {

constexpr int64_t kVectorSlack = 16;  // elements a plane kernel may read past the last column it uses

class Convolution {
 public:
  static std::optional<Convolution> make(const sdk::Graph& graph, const sdk::Node& node);
  void pack(const sdk::Graph&, const sdk::Node&) {}
  uint64_t scratch(uint32_t workers) const {
    return static_cast<uint64_t>(scratch_floats()) * sizeof(float) * std::max(workers, 1u);
  }
  void run(const Call& call) const noexcept {
    if (depth_channels_ == 1 && groups_ > 1) {
      run_planes(call);
    } else {
      run_products(call);
    }
  }

 private:
  bool pointwise() const {
    const Window& w = window_;
    return w.kernel_h == 1 && w.kernel_w == 1 && w.stride_h == 1 && w.stride_w == 1 && w.pad_top == 0 &&
           w.pad_left == 0;
  }
  int64_t pixels() const { return int64_t{window_.out_h} * window_.out_w; }
  int64_t plane() const { return int64_t{window_.in_h} * window_.in_w; }
  int64_t depth() const { return depth_channels_ * window_.kernel_h * window_.kernel_w; }
  int64_t group_filters() const { return filters_ / groups_; }

  // Pixels per task: a multiple of 16, so that a task starts at a column block.
  int64_t pixel_chunk() const { return std::clamp<int64_t>(64 * 1024 / depth() / 64 * 64, 64, 1024); }
  int64_t phase_width() const {
    const int64_t reach = (window_.kernel_w - 1) * window_.dilation_w / window_.stride_w + 1;
    return window_.out_w + reach + kVectorSlack;
  }
  int64_t padded_rows() const {
    return (window_.out_h - 1) * int64_t{window_.stride_h} + (window_.kernel_h - 1) * int64_t{window_.dilation_h} + 1;
  }
  int64_t plane_floats() const { return padded_rows() * phase_width() * window_.stride_w; }
  int64_t scratch_floats() const {
    if (depth_channels_ == 1 && groups_ > 1) return (plane_floats() + 15) / 16 * 16;
    return pointwise() ? 0 : pixel_chunk() * depth();
  }

  void run_planes(const Call& call) const noexcept;
  void fill_phases(const float* x, float* to) const noexcept;
  void run_products(const Call& call) const noexcept;
  void gather(const float* x, int64_t first, int64_t count, float* columns) const noexcept;
  void gather_tap(const float* x, int64_t row, int64_t column, int64_t count, float* to) const noexcept;

  Window window_;
  int64_t batch_ = 0, groups_ = 1, filters_ = 0, channels_ = 0, depth_channels_ = 0;
};

std::optional<Convolution> Convolution::make(const sdk::Graph& graph, const sdk::Node& node) {
  if (!node.has_input(1)) return std::nullopt;
  const sdk::Value input = graph.input(node, 0), weight = graph.input(node, 1), output = graph.output(node);
  const auto x = input.dims(), w = weight.dims(), y = output.dims();
  const auto stride = node.attrs().integers("stride"), padding = node.attrs().integers("padding"),
             dilation = node.attrs().integers("dilation");
  if (x.size() != 4 || w.size() != 4 || y.size() != 4) return std::nullopt;
  if (stride.size() != 2 || padding.size() != 2 || dilation.size() != 2) return std::nullopt;
  Convolution c;
  c.groups_ = node.attrs().integer("groups", 1);
  c.batch_ = x[0], c.channels_ = x[1], c.filters_ = w[0], c.depth_channels_ = w[1];
  const auto small = [](int64_t v, int64_t low) { return v >= low && v <= std::numeric_limits<int32_t>::max() / 4; };
  for (const auto dims : {x, w, y})
    if (!std::all_of(dims.begin(), dims.end(), [&](int64_t v) { return small(v, 1); })) return std::nullopt;
  for (size_t i = 0; i < 2; ++i) {
    if (!small(stride[i], 1) || !small(dilation[i], 1) || !small(padding[i], 0)) return std::nullopt;
    if (y[2 + i] != (x[2 + i] + 2 * padding[i] - dilation[i] * (w[2 + i] - 1) - 1) / stride[i] + 1) return std::nullopt;
  }
  if (c.groups_ < 1 || c.filters_ % c.groups_ != 0 || c.depth_channels_ * c.groups_ != c.channels_) return std::nullopt;
  if (y[0] != x[0] || y[1] != c.filters_) return std::nullopt;
  if (node.has_input(2) && graph.input(node, 2).numel() != c.filters_) return std::nullopt;
  const auto narrow = [](int64_t v) { return static_cast<int32_t>(v); };
  Window& g = c.window_;
  g.in_h = narrow(x[2]), g.in_w = narrow(x[3]), g.out_h = narrow(y[2]), g.out_w = narrow(y[3]);
  g.kernel_h = narrow(w[2]), g.kernel_w = narrow(w[3]), g.stride_h = narrow(stride[0]), g.stride_w = narrow(stride[1]);
  g.dilation_h = narrow(dilation[0]), g.dilation_w = narrow(dilation[1]);
  g.pad_top = narrow(padding[0]), g.pad_left = narrow(padding[1]);
  return c;
}

// -- one input channel per filter

// A padded copy of the plane with the columns split by phase; padding stays as the caller zeroed it.
void Convolution::fill_phases(const float* x, float* to) const noexcept {
  const int64_t width = phase_width(), stride = window_.stride_w;
  const int64_t rows = std::min<int64_t>(window_.in_h, padded_rows() - window_.pad_top);
  const int64_t used = (window_.out_w - 1) * stride + (window_.kernel_w - 1) * int64_t{window_.dilation_w} + 1;
  const int64_t columns = std::min<int64_t>(window_.in_w, used - window_.pad_left);
  for (int64_t r = 0; r < rows; ++r) {
    const float* from = x + r * window_.in_w;
    float* line = to + (r + window_.pad_top) * width * stride;
    if (stride == 1) {
      std::copy_n(from, std::max<int64_t>(columns, 0), line + window_.pad_left);
      continue;
    }
    for (int64_t phase = 0; phase < stride; ++phase) {
      // First padded column of this phase that lies in the image.
      const int64_t first = (window_.pad_left - phase + stride - 1) / stride;
      const int64_t start = std::max<int64_t>(first, 0);
      float* out = line + phase * width;
      for (int64_t j = start, c = j * stride + phase - window_.pad_left; c < columns; ++j, c += stride)
        out[j] = from[c];
    }
  }
}

void Convolution::run_planes(const Call& call) const noexcept {
  const int64_t area = int64_t{window_.kernel_h} * window_.kernel_w, per_channel = group_filters();
  const uint64_t planes = static_cast<uint64_t>(batch_ * filters_);
  sdk::parallel_for(call.host, planes, 8, [&](uint64_t begin, uint64_t end, uint32_t worker) noexcept {
    float* phases = reinterpret_cast<float*>(call.scratch) + static_cast<int64_t>(worker) * scratch_floats();
    std::fill_n(phases, plane_floats(), 0.0f);
    for (int64_t p = static_cast<int64_t>(begin); p < static_cast<int64_t>(end); ++p) {
      const int64_t image = p / filters_, filter = p % filters_;
      fill_phases(call.in[0] + (image * channels_ + filter / per_channel) * plane(), phases);
      PlaneF32 g;
      g.x = phases, g.phase_width = phase_width(), g.w = call.in[1] + filter * area;
      g.bias = call.in[2] ? call.in[2][filter] : 0.0f;
      g.y = call.out + p * pixels(), g.row_end = window_.out_h, g.window = window_;
      call.kernels.depthwise_plane_f32(g);
    }
  });
}

// -- filters [n][k] x map [k][pixels]

// Elements under one tap for output pixels from (row, column) on, to the end of that output row at most.
void Convolution::gather_tap(const float* x, int64_t row, int64_t column, int64_t count, float* to) const noexcept {
  if (row < 0 || row >= window_.in_h) {
    std::fill_n(to, count, 0.0f);
    return;
  }
  const float* line = x + row * window_.in_w;
  for (int64_t i = 0; i < count; ++i, column += window_.stride_w)
    to[i] = column >= 0 && column < window_.in_w ? line[column] : 0.0f;
}

// columns[(c * kernel_h + kh) * kernel_w + kw][p], the order of the weights; rows are `pixel_chunk()` apart.
void Convolution::gather(const float* x, int64_t first, int64_t count, float* columns) const noexcept {
  const Window& w = window_;
  for (int64_t c = 0; c < depth_channels_; ++c, x += plane())
    for (int64_t kh = 0; kh < w.kernel_h; ++kh)
      for (int64_t kw = 0; kw < w.kernel_w; ++kw, columns += pixel_chunk())
        for (int64_t p = 0; p < count;) {
          const int64_t oh = (first + p) / w.out_w, ow = (first + p) % w.out_w;
          const int64_t run = std::min(count - p, w.out_w - ow);
          gather_tap(x, oh * w.stride_h - w.pad_top + kh * w.dilation_h,
                     ow * w.stride_w - w.pad_left + kw * w.dilation_w, run, columns + p);
          p += run;
        }
}

void Convolution::run_products(const Call& call) const noexcept {
  const int64_t chunk = pixel_chunk(), chunks = (pixels() + chunk - 1) / chunk;
  const uint64_t tasks = static_cast<uint64_t>(batch_ * groups_ * chunks);
  sdk::parallel_for(call.host, tasks, 1, [&](uint64_t begin, uint64_t end, uint32_t worker) noexcept {
    for (int64_t task = static_cast<int64_t>(begin); task < static_cast<int64_t>(end); ++task) {
      const int64_t first = task % chunks * chunk, group = task / chunks % groups_, image = task / chunks / groups_;
      const int64_t filter = group * group_filters();
      const float* x = call.in[0] + (image * channels_ + group * depth_channels_) * plane();
      GemmF32 g;
      g.a = call.in[1] + filter * depth(), g.a_stride = depth(), g.b_block_stride = 16;
      g.rows = group_filters(), g.n = std::min(chunk, pixels() - first), g.k = depth();
      g.row_bias = call.in[2] ? call.in[2] + filter : nullptr;
      g.y = call.out + (image * filters_ + filter) * pixels() + first, g.y_stride = pixels();
      if (pointwise()) {
        g.b = x + first, g.b_row_stride = plane();
      } else {
        float* columns = reinterpret_cast<float*>(call.scratch) + static_cast<int64_t>(worker) * scratch_floats();
        gather(x, first, g.n, columns);
        g.b = columns, g.b_row_stride = chunk;
      }
      call.kernels.gemm_f32(g);
    }
  });
}

constexpr quoin_kernel kRows[] = {row<Convolution>("aten.conv2d.default", "cpu:conv2d")};

}  // namespace

std::span<const quoin_kernel> convolution_operators() { return kRows; }

}  // namespace quoin::cpu

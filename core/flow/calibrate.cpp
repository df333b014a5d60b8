#include "flow/calibrate.hpp"

#include <algorithm>
#include <filesystem>

namespace quoin::flow {
namespace {

using quantize::Calibration;
using quantize::SampleRange;

Result<std::unique_ptr<data::Dataset>> calibration_data(const ir::Graph& graph, const recipe::Recipe& recipe) {
  if (recipe.quantize.calibrate.data.path.empty()) return std::unique_ptr<data::Dataset>();
  std::vector<data::InputSpec> inputs;
  for (const ir::ValueId id : graph.inputs()) {
    const ir::Value& value = graph.value(id);
    inputs.push_back({value.name, value.type.dtype, value.type.shape});
  }
  return data::open_dataset(recipe.quantize.calibrate.data, inputs);
}

// Samples [begin, end) of a dataset.
class Part final : public data::Dataset {
 public:
  Part(const data::Dataset& whole, SampleRange range) : whole_(whole), range_(range) {}
  size_t size() const override { return static_cast<size_t>(range_.end - range_.begin); }
  Result<data::Sample> sample(size_t index) const override {
    return whole_.sample(static_cast<size_t>(range_.begin) + index);
  }
  std::string describe() const override {
    return fmt::format("{}, samples {}:{}", whole_.describe(), range_.begin, range_.end);
  }
  uint64_t digest() const override { return whole_.digest(); }

 private:
  const data::Dataset& whole_;
  const SampleRange range_;
};

// Passes progress on and remembers how far it came.
class Counter final : public Progress {
 public:
  explicit Counter(Progress* to) : to_(to) {}
  void stage(std::string_view name, uint64_t total) override {
    if (to_ != nullptr) to_->stage(name, total);
  }
  bool step(uint64_t done) override {
    done_ = done;
    return to_ == nullptr || to_->step(done);
  }
  uint64_t done() const { return done_; }

 private:
  Progress* to_;
  uint64_t done_ = 0;
};

// Takes a fitting calibration over; what only constants need is measured.
Status take_over(const ir::Graph& graph, quantize::Prepared& prepared, const Calibration& saved,
                 const std::string& path, Context& context, Diagnostics& diagnostics) {
  QUOIN_CHECK_AT(quantize::restore(graph, prepared, saved), "{}", path);
  QUOIN_CHECK(quantize::calibrate_constants(graph, prepared, context.services->table()));
  return quantize::check_calibrated(graph, prepared, diagnostics);
}

// What keeps the cache from being used; empty: nothing. `saved` is filled then.
std::string refusal(const std::string& path, const Calibration& wanted, Calibration& saved) {
  auto loaded = quantize::load_calibration(path);
  if (!loaded) return "cannot be read (" + loaded.error().what + ")";
  saved = *std::move(loaded);
  if (const std::string differs = quantize::difference(saved, wanted); !differs.empty()) return "is for " + differs;
  if (saved.samples != wanted.samples)
    return fmt::format("is for samples {}, not {}", to_string(saved.samples), to_string(wanted.samples));
  return {};
}

// The calibrations of options.resume and options.merge, checked against the model and the data, and joined.
Result<Calibration> load_all(const ir::Graph& graph, quantize::Prepared& prepared, const CalibrateOptions& options,
                             const std::string& data) {
  Calibration all = quantize::identity(graph, prepared);
  all.data = data;
  std::vector<std::string> paths(options.merge);
  if (!options.resume.empty()) paths.insert(paths.begin(), options.resume);
  for (const std::string& path : paths) {
    QUOIN_TRY(const Calibration saved, quantize::load_calibration(path));
    if (const std::string differs = quantize::difference(saved, all); !differs.empty())
      return fail(Code::data, "the calibration is for {}", differs).at("{}", path).hint("calibrate again");
    auto samples = quantize::join(all.samples, saved.samples);
    if (!samples) return std::move(samples).failure().at("{}", path);
    QUOIN_CHECK_AT(quantize::restore(graph, prepared, saved), "{}", path);
    all.samples = *std::move(samples);
    all.data = saved.data;
  }
  return all;
}

// The samples to run: those asked for, else those behind the last one seen; none when calibrations are only joined.
Result<SampleRange> samples_to_run(const CalibrateOptions& options, const Calibration& before,
                                   const data::Dataset* dataset) {
  const uint64_t size = dataset == nullptr ? 0 : dataset->size();
  if (!options.samples && options.resume.empty() && !options.merge.empty()) return SampleRange{0, 0};
  const SampleRange range =
      options.samples.value_or(SampleRange{before.samples.empty() ? 0 : before.samples.back().end, size});
  if (range.begin > range.end || range.end > size)
    return fail(Code::usage, "samples {}:{} of {}", range.begin, range.end, size)
        .at("{}", dataset == nullptr ? "quantize.calibrate.data" : dataset->describe());
  return range;
}

}  // namespace

quantize::ObserverDefaults observer_defaults(const recipe::Recipe& recipe) {
  quantize::ObserverDefaults chosen;
  const recipe::Calibrate& calibrate = recipe.quantize.calibrate;
  if (!calibrate.observer.empty()) chosen.activation = calibrate.observer;
  chosen.params = calibrate.observer_params;
  return chosen;
}

Result<CalibrationStage> calibrate_by_recipe(const ir::Graph& graph, quantize::Prepared& prepared,
                                             const recipe::Recipe& recipe, Context& context, Progress* progress,
                                             Diagnostics& diagnostics) {
  const auto& [state, cache] = std::tie(recipe.quantize.calibrate.state, recipe.quantize.calibrate.cache);
  if (!state.empty()) {
    QUOIN_TRY(const Calibration saved, quantize::load_calibration(state));
    QUOIN_CHECK(take_over(graph, prepared, saved, state, context, diagnostics));
    return CalibrationStage{static_cast<size_t>(saved.sample_count()), state, saved.data};
  }
  QUOIN_TRY(const std::unique_ptr<data::Dataset> dataset, calibration_data(graph, recipe));
  const bool cached = !cache.empty() && dataset != nullptr;
  Calibration wanted;
  if (cached) {
    wanted = quantize::identity(graph, prepared);
    wanted.data = quantize::hex(dataset->digest());
    wanted.samples = {{0, dataset->size()}};
  }
  std::error_code ignored;
  if (cached && std::filesystem::exists(cache, ignored)) {
    Calibration saved;
    const std::string refused = refusal(cache, wanted, saved);
    if (refused.empty()) {
      QUOIN_CHECK(take_over(graph, prepared, saved, cache, context, diagnostics));
      return CalibrationStage{dataset->size(), cache, wanted.data};
    }
    if (context.strict)
      return fail(Code::strict, "the calibration cache {}", refused)
          .at("{}", cache)
          .hint("remove it, or run without --strict");
    diagnostics.warn(cache, "the calibration cache " + refused, "calibrated again, and the cache was replaced");
  }
  QUOIN_CHECK(quantize::calibrate(graph, prepared, dataset.get(), context.kernels, context.services->table(), progress,
                                  diagnostics));
  if (cached) {
    QUOIN_TRY(wanted.groups, quantize::states(graph, prepared));
    QUOIN_CHECK(quantize::save_calibration(cache, wanted));
  }
  if (dataset == nullptr) return CalibrationStage{};
  return CalibrationStage{dataset->size(), {}, cached ? wanted.data : quantize::hex(dataset->digest())};
}

Result<CalibrationRun> calibrate(const std::string& model, const recipe::Recipe& recipe, Context& context,
                                 const CalibrateOptions& options, Progress* progress, Diagnostics& diagnostics) {
  QUOIN_TRY(const Annotated annotated, annotate(model, recipe, context, diagnostics));
  const ir::Graph& graph = annotated.graph;
  QUOIN_TRY(quantize::Prepared prepared, quantize::prepare(graph, annotated.annotations, observer_defaults(recipe)));
  QUOIN_TRY(const std::unique_ptr<data::Dataset> dataset, calibration_data(graph, recipe));
  const std::string data = dataset == nullptr ? std::string() : quantize::hex(dataset->digest());
  CalibrationRun out;
  QUOIN_TRY(out.calibration, load_all(graph, prepared, options, data));
  QUOIN_TRY(const SampleRange range, samples_to_run(options, out.calibration, dataset.get()));
  uint64_t done = 0;
  if (range.begin < range.end) {
    const Part part(*dataset, range);
    Counter counter(progress);
    const Status status =
        quantize::calibrate(graph, prepared, &part, context.kernels, context.services->table(), &counter, diagnostics);
    done = counter.done();
    out.stopped = !status && status.error().code == Code::cancelled && done > 0;
    if (!status && !out.stopped) return fail(status.error());
  }
  if (done > 0) {
    QUOIN_TRY(out.calibration.samples, quantize::join(out.calibration.samples, {{range.begin, range.begin + done}}));
  }
  QUOIN_TRY(out.calibration.groups, quantize::states(graph, prepared));
  out.ran = static_cast<size_t>(done);
  return out;
}

}  // namespace quoin::flow

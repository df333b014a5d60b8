#include <algorithm>
#include <cmath>

#include "flow/flow.hpp"

namespace quoin::flow {
namespace {

size_t argmax(std::span<const float> values) {
  return static_cast<size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

bool in_top(std::span<const float> values, int64_t label, size_t k) {
  if (label < 0 || static_cast<size_t>(label) >= values.size()) return false;
  const float score = values[static_cast<size_t>(label)];
  return static_cast<size_t>(std::count_if(values.begin(), values.end(), [&](float v) { return v > score; })) < k;
}

double cosine(std::span<const float> a, std::span<const float> b) {
  double dot = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    dot += double{a[i]} * double{b[i]};
    aa += double{a[i]} * double{a[i]};
    bb += double{b[i]} * double{b[i]};
  }
  return aa == 0 || bb == 0 ? (aa == bb ? 1.0 : 0.0) : dot / std::sqrt(aa * bb);
}

// ||out - reference|| / ||reference||
double relative_error(std::span<const float> out, std::span<const float> reference) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    const double difference = double{out[i]} - double{reference[i]};
    error += difference * difference;
    norm += double{reference[i]} * double{reference[i]};
  }
  return norm == 0 ? std::sqrt(error) : std::sqrt(error / norm);
}

// Signal and noise energy of many samples, and how often the largest element is the same one.
struct Comparison {
  double signal = 0, noise = 0;
  size_t agreeing = 0, n = 0;
  void add(std::span<const float> out, std::span<const float> reference) {
    for (size_t i = 0; i < out.size(); ++i) {
      const double difference = double{out[i]} - double{reference[i]};
      signal += double{reference[i]} * double{reference[i]};
      noise += difference * difference;
    }
    agreeing += argmax(out) == argmax(reference) ? 1 : 0;
    ++n;
  }
};

class Scorer {
 public:
  explicit Scorer(std::string metric) : metric_(std::move(metric)) {}

  Status add(const data::Sample& sample, std::span<const float> out) {
    if (metric_.empty()) metric_ = sample.label ? "top1" : "cosine";
    if (metric_ == "top1") return add_label(sample, out);
    if (!sample.reference || sample.reference->dtype() != DType::f32 ||
        sample.reference->as<float>().size() != out.size())
      return fail(Code::data, "no float reference output of {} elements for metric {}", out.size(), metric_)
          .at("{}", sample.name)
          .hint("choose another eval.metric, or give data with labels or reference outputs");
    const auto reference = sample.reference->as<float>();
    sum_ += metric_ == "cosine" ? cosine(out, reference) : relative_error(out, reference);
    ++n_;
    return {};
  }
  Score score() const {
    Score out;
    out.n = n_;
    out.metric = metric_;
    out.value = n_ == 0 ? 0 : sum_ / static_cast<double>(n_);
    if (metric_ == "top1" && n_ != 0 && classes_ > 5) out.top5 = static_cast<double>(top5_) / static_cast<double>(n_);
    return out;
  }

 private:
  Status add_label(const data::Sample& sample, std::span<const float> out) {
    if (!sample.label)
      return fail(Code::data, "no label for metric top1")
          .at("{}", sample.name)
          .hint("give --labels, or choose another eval.metric");
    if (*sample.label < 0 || static_cast<size_t>(*sample.label) >= out.size())
      return fail(Code::data, "label {} is outside the model's {} classes", *sample.label, out.size())
          .at("{}", sample.name);
    classes_ = out.size();
    sum_ += argmax(out) == static_cast<size_t>(*sample.label) ? 1 : 0;
    top5_ += in_top(out, *sample.label, 5) ? 1 : 0;
    ++n_;
    return {};
  }
  std::string metric_;
  double sum_ = 0;
  size_t n_ = 0, top5_ = 0, classes_ = 0;
};

Result<std::vector<float>> first_output(runtime::Executable& model, const data::Sample& sample, double& seconds) {
  const auto begin = std::chrono::steady_clock::now();
  auto outputs = model.run(sample.inputs);
  seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (!outputs) return std::move(outputs).failure().at("{}", sample.name);
  const Tensor& out = outputs->at(0);
  if (out.dtype() != DType::f32)
    return fail(Code::input, "the first output is {}, scoring needs f32", name(out.dtype())).at("{}", sample.name);
  const auto values = out.as<float>();
  return std::vector<float>(values.begin(), values.end());
}

}  // namespace

Result<Score> evaluate(runtime::Executable& model, runtime::Executable* against, const data::Dataset& dataset,
                       const std::string& metric, Progress* progress, Diagnostics& diagnostics) {
  Scorer scorer(metric);
  Comparison comparison;
  double seconds = 0, ignored = 0;
  if (progress != nullptr) progress->stage("evaluate", dataset.size());
  for (size_t i = 0; i < dataset.size(); ++i) {
    QUOIN_TRY(const data::Sample sample, dataset.sample(i));
    QUOIN_TRY(const std::vector<float> out, first_output(model, sample, seconds));
    if (std::any_of(out.begin(), out.end(), [](float v) { return !std::isfinite(v); }))
      diagnostics.warn(sample.name, "the model's output holds NaN or Inf");
    QUOIN_CHECK(scorer.add(sample, out));
    if (against != nullptr) {
      QUOIN_TRY(const std::vector<float> reference, first_output(*against, sample, ignored));
      if (reference.size() != out.size())
        return fail(Code::input, "the two models give {} and {} output elements", out.size(), reference.size());
      comparison.add(out, reference);
    }
    if (progress != nullptr && !progress->step(i + 1))
      return fail(Code::cancelled, "evaluation stopped after {} samples", i + 1);
  }
  Score score = scorer.score();
  score.seconds = seconds;
  if (comparison.n != 0) {
    score.agreement = static_cast<double>(comparison.agreeing) / static_cast<double>(comparison.n);
    if (comparison.noise > 0) score.sqnr_db = 10 * std::log10(comparison.signal / comparison.noise);
  }
  return score;
}

}  // namespace quoin::flow

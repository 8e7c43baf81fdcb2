// Draws how a map makes one density of another: z = logit(x) / 2, with a Gaussian for z. Chapter 4
// of the book shows the pictures.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>

#include "data/svg.h"
#include "examples/picture.h"
#include "flows/compose.h"
#include "flows/flow_density.h"
#include "flows/layers/logit.h"
#include "flows/layers/scaling.h"

using namespace nf;

/// Lines that join x (below) with z = f(x) (above): each gap holds a twentieth of the samples.
static void draw_map(const std::string& path, flows::FlowDensity& density,
                     std::vector<double> samples) {
  constexpr double left = 40, width = 700, top = 50, bottom = 190, reach = 2.5;
  const auto of_z = [=](double z) { return left + width * (z / reach + 1) / 2; };
  Diagram diagram(left * 2 + width, 240);
  std::sort(samples.begin(), samples.end());
  for (std::size_t i = 1; i < 20; ++i) {
    const double x = samples[i * samples.size() / 20];
    const double z = density.encode(Tensor::from<double>({x}, {1, 1})).item();
    diagram.line(of_z(z), top, left + width * x, bottom, Diagram::kBlue);
  }
  diagram.line(left, top, left + width, top, Diagram::kBlack);
  diagram.line(left, bottom, left + width, bottom, Diagram::kBlack);
  for (int i = -2; i <= 2; ++i) diagram.text(of_z(i), top - 14, str(i), Diagram::kGray);
  for (int i = 0; i <= 4; ++i) {
    diagram.text(left + width * i / 4, bottom + 14, str(i / 4.0), Diagram::kGray);
  }
  diagram.text(left + width / 2, 14, "z = f(x) = logit(x) / 2, a Gaussian");
  diagram.text(left + width / 2, 228, "x; between two lines lies a twentieth of the probability");
  diagram.write(path);
}

int main(int argc, char** argv) {
  auto flow = std::make_shared<flows::Compose>();
  flow->add("logit", std::make_shared<flows::Logit>());
  flow->add("half", std::make_shared<flows::Scale>(0.5));
  flows::FlowDensity density(flow, std::make_shared<flows::StandardNormal>(), 1);

  const Tensor x = (Tensor::arange(500, DType::F64) + 0.5) / 500;
  const Var rows = x.reshape({500, 1});
  const auto [z, log_det] = flow->forward(rows);
  const Tensor base = exp(density.base().log_prob(z).value());  // p_Z(f(x)), (500)
  const Tensor p = exp(density.log_prob(rows).value());         // p_X(x), (500)
  const auto at = x.to_vector<double>();

  const std::string folder = argc > 1 ? str(argv[1], "/") : "";
  Generator gen(/*seed=*/1);
  const auto samples = density.sample(gen, 200000).to(DType::F64).to_vector<double>();
  draw_map(folder + "stretch-map.svg", density, samples);
  data::write_curve_svg(folder + "stretch.svg",
                        {"One density of another", "x", "density", /*whole_range=*/true},
                        {histogram("samples", samples, 0, 1, 50),
                         {"p_Z(f(x)) |df/dx|", at, p.to_vector<double>()},
                         {"p_Z(f(x)) alone", at, base.to_vector<double>()}});
  const double with = mean(p).item(), without = mean(base).item();
  std::printf("wrote stretch-map.svg and stretch.svg\n");
  std::printf("integral over [0, 1] with the slope %.3f, without %.3f\n", with, without);
  return std::abs(with - 1) < 1e-3 && without < 0.9 ? 0 : 1;
}

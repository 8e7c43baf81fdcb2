// What tests of run folders share.
#pragma once

#include <boost/test/unit_test.hpp>

#include "cli_util.h"
#include "flows/train/position.h"
#include "nn/safetensors.h"

namespace nf::test {

inline void write(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

inline std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

inline nlohmann::json config_of(const std::string& run) {
  return nlohmann::json::parse(slurp(run + "/config.json"));
}

inline std::vector<std::string> resume(const std::string& run,
                                       const std::vector<std::string>& more) {
  std::vector<std::string> all = {"resume", run, "--threads", "1", "--quiet"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

inline void expect_ok(const Outcome& outcome) { BOOST_TEST(outcome.status == 0, outcome.err); }

/// One line on stderr that has all of `says`.
inline void expect_failure(const Outcome& outcome, const std::vector<std::string>& says,
                           int status = 1) {
  BOOST_TEST(outcome.status == status, "status " << outcome.status << ": " << outcome.err);
  BOOST_TEST(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1, outcome.err);
  for (const std::string& text : says) {
    BOOST_TEST(outcome.err.find(text) != std::string::npos, text << " not in: " << outcome.err);
  }
}

/// Changes a file of tensors.
inline void edit(const std::string& path,
                 const std::function<void(nf::nn::SafetensorsFile&)>& change) {
  auto file = nf::nn::load_safetensors(path);
  change(file);
  nf::nn::save_safetensors(path, {file.tensors.begin(), file.tensors.end()}, file.metadata);
}

/// Changes where a training stands, as its state says.
inline void edit_position(const std::string& state,
                          const std::function<void(nf::flows::Position&)>& change) {
  edit(state, [&](nf::nn::SafetensorsFile& file) {
    nf::flows::Position at = nf::flows::position_from(file.metadata, "");
    change(at);
    for (const auto& [key, value] : to_metadata(at)) file.metadata[key] = value;
  });
}

}  // namespace nf::test

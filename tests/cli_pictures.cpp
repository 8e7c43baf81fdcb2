// flowcli on folders of pictures: training with labels, what is told, and folders that change.
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "tests/cli_util.h"
#include "tests/picture_makers.h"

using namespace nf::test;

namespace fs = std::filesystem;

BOOST_AUTO_TEST_SUITE(cli_pictures)

namespace {

void write(const std::string& path, const std::string& bytes) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

/// 40 pictures of 6 x 5 in folders of two classes: dark ones and light ones.
std::string two_classes(const ScratchFolder& folder, const std::string& name) {
  for (int i = 0; i < 40; ++i) {
    std::string rows;
    for (int p = 0; p < 30; ++p) {
      rows += static_cast<char>(i % 2 * 100 + (i * 31 + p * 17) % 100);
    }
    write(folder.file(name + (i % 2 ? "/light/" : "/dark/") + std::to_string(i) + ".png"),
          png_file(6, 5, kGray, 8, rows));
  }
  return folder.file(name);
}

std::vector<std::string> training(const std::string& data, const std::string& run,
                                  std::vector<std::string> more = {}) {
  std::vector<std::string> call = {
      "train",           "nice", "--data",  data, "--out",        run,  "--hidden-units", "8",
      "--hidden-layers", "1",    "--steps", "5",  "--batch-size", "16", "--threads",      "1"};
  call.insert(call.end(), more.begin(), more.end());
  return call;
}

nlohmann::json facts_of(const std::string& run) {
  return nlohmann::json::parse(slurp(run + "/config.json"))["data"];
}

std::string one_line(std::string text) {  // long lines are broken
  for (std::size_t at = 0; (at = text.find("\n    ", at)) != std::string::npos;) {
    text.replace(at, 5, " ");
  }
  return text;
}

void check_fails(const ScratchFolder& folder, const std::vector<std::string>& call, int status,
                 const std::string& says) {
  const Outcome outcome = flowcli(folder, call);
  BOOST_TEST(outcome.status == status, outcome.err);
  BOOST_TEST(outcome.err.find(says) != std::string::npos, outcome.err);
  BOOST_TEST(std::count(outcome.err.begin(), outcome.err.end(), '\n') >= 1);
}

void check_works(const ScratchFolder& folder, const std::vector<std::vector<std::string>>& calls) {
  for (const std::vector<std::string>& call : calls) {
    const Outcome outcome = flowcli(folder, call);
    BOOST_TEST(outcome.status == 0, call[0] + ": " + outcome.err);
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_model_of_a_folder_with_labels) {
  const ScratchFolder folder;
  const std::string data = two_classes(folder, "pictures"), run = folder.file("run");
  const Outcome told = flowcli(folder, {"data", data, "--json"});
  BOOST_TEST_REQUIRE(told.status == 0, told.err);
  BOOST_TEST((told.json()["height"] == 5 && told.json()["width"] == 6));
  BOOST_TEST((told.json()["channels"] == 1 && told.json()["classes"] == 2));
  BOOST_TEST(told.json()["class_names"] == nlohmann::json::array({"dark", "light"}));

  const Outcome trained = flowcli(folder, training(data, run, {"--given", "label"}));
  BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
  BOOST_TEST(trained.err.find("labels by folder: 0 'dark', 1 'light'") != std::string::npos,
             trained.err);
  BOOST_TEST(facts_of(run)["class_names"] == nlohmann::json::array({"dark", "light"}));
  BOOST_TEST(facts_of(run)["skipped"] == 0);
  check_works(folder, {{"eval", run, "--json"},
                       {"sample", run, "--given", "label=1", "-n", "2", "--json"},
                       {"sample", run, "--given", "label=dark", "-n", "2", "--json"},
                       {"sample", run, "--given", "light", "-n", "2", "--json"},
                       {"classify", run, "--data", data, "--json"},
                       {"resume", run, "--steps", "7", "--json"}});
  check_fails(folder, {"sample", run, "--given", "grey"}, 2,
              "'grey' is no label of the model; it knows dark, light");
  // Another folder has the classes by their names, whatever else it lacks.
  const std::string light = folder.file("other");
  fs::create_directories(light);
  fs::rename(data + "/light", light + "/light");
  const Outcome other = flowcli(folder, {"score", run, "--data", light, "--json"});
  BOOST_TEST(other.status == 0, other.err);
  fs::rename(light + "/light", light + "/bright");
  check_fails(folder, {"score", run, "--data", light}, 1, "the folder 'bright' is no class");
}

BOOST_AUTO_TEST_CASE(a_folder_that_moved_or_changed) {
  const ScratchFolder folder;
  const std::string data = two_classes(folder, "pictures"), run = folder.file("run");
  BOOST_TEST_REQUIRE(flowcli(folder, training(data, run)).status == 0);
  fs::rename(data, folder.file("moved"));
  check_fails(folder, {"eval", run}, 1, "are not there any more");
  const Outcome moved = flowcli(
      folder, {"resume", run, "--data", folder.file("moved"), "--steps", "6", "--threads", "1"});
  BOOST_TEST(moved.status == 0, moved.err);
  BOOST_TEST(flowcli(folder, {"eval", run}).status == 0);
  const std::string one = folder.file("moved/dark/0.png"), before = slurp(one);
  write(one, gray_png(6, 5, 77));
  check_fails(folder, {"eval", run}, 1, "has changed since");
  fs::remove(one);
  check_fails(folder, {"eval", run}, 1, "has changed since");
  write(one, before);
  fs::rename(one, folder.file("moved/light/0.png"));  // another label
  check_fails(folder, {"eval", run}, 1, "has changed since");
}

BOOST_AUTO_TEST_CASE(bad_files_and_sizes) {
  const ScratchFolder folder;
  const std::string data = two_classes(folder, "pictures"), run = folder.file("run");
  write(data + "/dark/8.png", "not a picture");
  write(data + "/light/7.jpg", gray_jpeg().substr(0, 150));
  check_fails(folder, {"data", data}, 1, "dark/8.png' is neither PNG nor JPEG");
  check_fails(folder, training(data, run), 1, "dark/8.png' is neither PNG nor JPEG");
  fs::remove(data + "/dark/8.png");
  check_fails(folder, training(data, run, {"--skip-bad"}), 1, "8 x 8");
  check_fails(folder, training(data, run, {"--images", "crop:9"}), 1, "and crop takes 9 x 9");
  check_fails(folder, training(data, run, {"--images", "crop:4", "--skip-bad", "maybe"}), 2,
              "neither true nor false");
  check_fails(folder, training(data, run, {"--images", "shrink"}), 2, "no such step");
  check_fails(folder, training("glyphs", run, {"--images", "square"}), 2, "is drawn");
  check_fails(folder, training("glyphs", run, {"--skip-bad"}), 2, "is drawn");
  const Outcome trained =
      flowcli(folder, training(data, run, {"--images", "crop:4", "--skip-bad"}));
  BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
  BOOST_TEST(one_line(trained.err).find("skipped 1 of 40 pictures") != std::string::npos,
             trained.err);
  BOOST_TEST(one_line(trained.err).find("light/7.jpg' is cut off") != std::string::npos,
             trained.err);
  const nlohmann::json facts = facts_of(run);
  BOOST_TEST((facts["skipped"] == 1 && facts["skip_bad"] == true && facts["images"] == "crop:4"));
  BOOST_TEST(facts["dims"] == 16);
  const Outcome eval = flowcli(folder, {"eval", run, "--json"});
  BOOST_TEST_REQUIRE(eval.status == 0, eval.err);
  BOOST_TEST(one_line(eval.err).find("skipped 1 of 40 pictures") != std::string::npos, eval.err);
  BOOST_TEST(eval.err.find("light/7.jpg") == std::string::npos, eval.err);  // training named it
  // It is whole again: these are other data.
  write(data + "/light/7.jpg", gray_jpeg());
  check_fails(folder, {"eval", run}, 1, "has changed since");
}

BOOST_AUTO_TEST_CASE(a_run_that_keeps_its_pictures) {
  const ScratchFolder folder;
  const std::string data = two_classes(folder, "pictures"), plain = folder.file("plain"),
                    packed = folder.file("packed");
  write(data + "/dark/bad.png", "not a picture");
  const std::vector<std::string> more = {"--images", "crop:4x3", "--skip-bad", "--given", "label"};
  const auto nats = [&](const std::string& run, const char* split) {
    const Outcome outcome = flowcli(folder, {"eval", run, "--split", split, "--json"});
    BOOST_TEST_REQUIRE(outcome.status == 0, outcome.err);
    return outcome.json()["nats"].dump();
  };
  for (const std::string& run : {plain, packed}) {
    std::vector<std::string> call = training(data, run, more);
    if (run == packed) call.push_back("--pack");
    const Outcome trained = flowcli(folder, call);
    BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
  }
  BOOST_TEST(facts_of(plain)["checksum"] == facts_of(packed)["checksum"]);
  BOOST_TEST((facts_of(packed)["pack"] == true && facts_of(packed)["skipped"] == 1));
  BOOST_TEST(!fs::exists(plain + "/data.npz"));
  const std::string test = nats(plain, "test"), all = nats(plain, "all");
  BOOST_TEST((nats(packed, "test") == test && nats(packed, "all") == all));

  // Neither the folder nor the place of the run is needed.
  fs::rename(data, folder.file("elsewhere"));
  const std::string run = folder.file("run");
  fs::rename(packed, run);
  check_fails(folder, {"eval", plain}, 1, "are not there any more");
  BOOST_TEST((nats(run, "test") == test && nats(run, "all") == all));
  const Outcome resumed =
      flowcli(folder, {"resume", run, "--steps", "6", "--threads", "1", "--json"});
  BOOST_TEST(resumed.status == 0, resumed.err);
  // Other folders are still cropped.
  const Outcome other = flowcli(
      folder, {"score", run, "--data", two_classes(folder, "others") + "/../others", "--json"});
  BOOST_TEST(other.status == 0, other.err);
  const Outcome read = flowcli(folder, {"data", run + "/data.npz", "--layout", "last", "--json"});
  BOOST_TEST_REQUIRE(read.status == 0, read.err);
  BOOST_TEST((read.json()["height"] == 3 && read.json()["classes"] == 2));
  // What is damaged is told; without it the folder is read, where it is.
  std::string bytes = slurp(run + "/data.npz");
  bytes[bytes.size() / 3] ^= 1;
  write(run + "/data.npz", bytes);
  check_fails(folder, {"eval", run}, 1, "its checksum is wrong");
  fs::remove(run + "/data.npz");
  check_fails(folder, {"eval", run}, 1, "are not there any more");
  fs::rename(folder.file("elsewhere"), data);
  BOOST_TEST(flowcli(folder, {"eval", run}).status == 0);

  check_fails(folder, training("glyphs", plain, {"--pack"}), 2, "is drawn");
  check_fails(folder, training(data, plain, {"--skip-bad", "--pack", "--test-data", data}), 2,
              "put the parts into it");
}

BOOST_AUTO_TEST_CASE(a_model_that_is_given_attributes) {
  const ScratchFolder folder;
  const std::string data = two_classes(folder, "pictures"), run = folder.file("run");
  std::string table = "file,light,number\n";
  for (int i = 0; i < 40; ++i) {
    table += std::to_string(i) + ".png," + std::to_string(i % 2) + "," + std::to_string(i) + "\n";
  }
  write(data + "/attributes.csv", table);
  const Outcome trained =
      flowcli(folder, training(data, run, {"--given", "light,number", "--pack"}));
  BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
  const std::string moved = folder.file("moved");
  fs::rename(data, moved);
  check_works(folder, {{"eval", run, "--json"},
                       {"sample", run, "--given", "light=1,number=7", "-n", "2", "--json"},
                       {"score", run, "--data", moved, "--json"},
                       {"resume", run, "--steps", "7", "--json"}});
  write(moved + "/attributes.csv", table + "40.png,0,0\n");  // of a picture that is not there
  BOOST_TEST(flowcli(folder, {"score", run, "--data", moved}).status == 0);
  fs::remove(moved + "/attributes.csv");
  check_fails(folder, {"score", run, "--data", moved}, 1, "attributes.csv");
}

BOOST_AUTO_TEST_CASE(one_picture_in_patches) {
  const ScratchFolder folder;
  std::string rows;
  for (int i = 0; i < 50 * 45; ++i) rows += static_cast<char>(i * 7 % 251);
  write(folder.file("photo.png"), png_file(50, 45, kGray, 8, rows));
  const std::string run = folder.file("run");
  const Outcome trained =
      flowcli(folder, training(folder.file("photo.png"), run, {"--images", "patches:4"}));
  BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
  BOOST_TEST(trained.err.find("132 patches of 4 x 4; 2 pixels at the right") != std::string::npos,
             trained.err);
  const Outcome eval = flowcli(folder, {"eval", run, "--json"});
  BOOST_TEST(eval.status == 0, eval.err);
}

BOOST_AUTO_TEST_SUITE_END()

// flowcli infer: which parameters of a simulator explain an observation. Neural posterior
// estimation: a conditional density p(parameters | data) is trained on simulations with parameters
// of the prior (Papamakarios, Murray 2016; Greenberg et al. 2019, of which one round needs no
// correction). More rounds truncate the prior (Deistler, Goncalves, Macke, "Truncated proposals for
// scalable and hassle-free simulation-based inference", 2022, algorithm 1): what is left of it is
// proportional to the prior, so the loss stays as it is.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <string_view>

#include "cli/calibrate.h"
#include "cli/child.h"
#include "cli/cli.h"
#include "cli/given.h"
#include "cli/infer.h"
#include "cli/interrupt.h"
#include "cli/latents.h"
#include "cli/posterior.h"
#include "cli/progress.h"
#include "cli/simulations.h"
#include "cli/simulator.h"
#include "cli/table.h"
#include "tensor/checksum.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tensor/text.h"
#include "tensor/threads.h"

namespace nf::cli {

namespace {

constexpr std::int64_t kMostSimulations = 10'000'000;
constexpr std::int64_t kSimulations = 10'000;  // unless more are asked for, or fewer are there

// Of --seed.
enum Stream : std::uint64_t { kPriorOrder = 0x7072696f, kRegion = 0x726567, kPosterior = 0x706f73 };

class Inference {
 public:
  Inference(const InferOptions& options, Device device)
      : options_(options),
        device_(device),
        problem_(read_problem(options)),
        types_(types_of(options, problem_)),
        wanted_(wanted()),
        lock_(locked_folder()),
        kept_(options.out, problem_.parameters, problem_.data, identity()) {
    Generator gen(options.seed, kPriorOrder);
    order_ = permutation(gen, problem_.prior.dim(0));
    check_rounds();
  }

  void run() {
    first_round();
    for (std::int64_t round = 1;; ++round) {
      simulate_rest();
      const auto there = std::ssize(kept_.rounds());
      if (round == there || round == options_.rounds) train();
      if (round == options_.rounds) break;
      if (round == there) next_round();
    }
    tell();
  }

 private:
  std::int64_t wanted() const {
    const std::int64_t draws = problem_.prior.dim(0);
    if (options_.simulations == 0) return std::min(kSimulations, draws);
    NF_CHECK(options_.simulations <= draws, "[infer] '", printable(options_.prior), "' has ", draws,
             " draws, too few for ", options_.simulations,
             " simulations; give more of them, or fewer --simulations");
    return options_.simulations;
  }

  FileLock locked_folder() const {
    make_folders(options_.out);
    long holder = 0;
    auto lock = FileLock::take(options_.out + "/infer.lock", &holder);
    NF_CHECK(lock, "[infer] ", printable(options_.out), " is in use by another inference",
             holder > 0 ? str(" (process ", holder, ")") : "",
             "; wait for it, or give another --out");
    return *lock;
  }

  Json identity() const {
    Checksum prior;
    prior.add(problem_.prior);
    return {{"simulator", options_.program},
            {"prior", prior.text()},
            {"parameters", problem_.parameters},
            {"data", problem_.data},
            {"seed", options_.seed}};
  }

  std::string observed_checksum() const {
    Checksum sum;
    sum.add(problem_.observed);
    return sum.text();
  }

  // Rounds that are there are of one observation, and of their number of simulations.
  void check_rounds() {
    const auto there = std::ssize(kept_.rounds());
    if (there > 0 && options_.simulations == 0) wanted_ = kept_.rounds()[0].simulations;
    if (there <= 1) return;
    check_usage(options_.rounds >= there, "[infer] ", printable(options_.out), " has ", there,
                " rounds; give --rounds ", there, " or more, or another --out");
    check_usage(options_.simulations == 0 || options_.simulations == kept_.rounds()[0].simulations,
                "[infer] the rounds of ", printable(options_.out), " have ",
                kept_.rounds()[0].simulations, " simulations each; give another --out");
    NF_CHECK(kept_.noted().value("observed", "") == observed_checksum(), "[infer] the rounds of ",
             printable(options_.out), " look at another observation; give another --out");
  }

  Tensor prior_rows(std::int64_t first, std::int64_t count) const {
    return index_select(problem_.prior, 0, order_.narrow(0, first, count));
  }

  void first_round() {
    const std::int64_t there = kept_.size();
    if (std::ssize(kept_.rounds()) > 1 || there >= wanted_) return;
    kept_.add(prior_rows(there, wanted_ - there),
              {.simulations = wanted_ - there, .tried = wanted_}, /*more=*/there > 0);
  }

  void simulate_rest() {
    const std::vector<std::int64_t> rows = kept_.to_do();
    if (rows.empty()) {
      options_.common.note(str("all ", kept_.size(), " simulations are there from before; for a ",
                               "program that was changed, choose another --out"));
      return tell_failed();
    }
    const std::int64_t workers = options_.workers > 0 ? options_.workers : num_threads();
    const std::int64_t done = kept_.size() - std::ssize(rows);
    const Common& common = options_.common;
    common.note(str("simulating ", rows.size(), " of ", kept_.size(), " rows, ", workers,
                    workers == 1 ? " process" : " processes", " at a time",
                    done > 0 ? str("; ", done, " were done before") : ""));
    std::vector<SimulatorLine> lines;
    for (const std::int64_t row : rows) lines.push_back({row, kept_.line(row)});
    constexpr std::int64_t kJobs = 16, kMostLines = 1000;
    const std::int64_t each = options_.lines_each > 0
                                  ? options_.lines_each
                                  : std::clamp<std::int64_t>(wanted_ / kJobs, 1, kMostLines);
    ignore_closed_pipes();
    catch_interrupts();
    Progress progress(common.quiet);
    std::int64_t answers = 0;
    try {
      simulate({.program = options_.program,
                .workers = workers,
                .lines_each = each,
                .columns = problem_.data.size(),
                .timeout = options_.timeout,
                .seed = options_.seed},
               lines, [&](std::int64_t row, const std::vector<double>& data) {
                 kept_.answer(row, data);
                 progress.step(++answers, std::ssize(lines), "simulate",
                               str(answers, " of ", lines.size()));
               });
    } catch (const Error& error) {
      progress.clear();
      kept_.save();
      fail(error.what() + kept_text());
    }
    progress.clear();
    kept_.save();
    if (interrupted()) {
      common.note("interrupted" + kept_text());
      throw Interrupted();
    }
    tell_failed();
  }

  std::string kept_text() const {
    return str("; ", kept_.size() - kept_.waiting(), " of ", kept_.size(), " simulations are in ",
               printable(kept_.path()), ", and the same command goes on with them");
  }

  void tell_failed() const {
    const std::int64_t failed = kept_.failed(), usable = kept_.size() - failed;
    if (failed > 0) {
      options_.common.note(str("note: ", failed, " of ", kept_.size(),
                               " simulations failed (nan, infinite or missing numbers); they are "
                               "left out: what is inferred is for parameters that do not fail"));
    }
    constexpr std::int64_t kFewest = 20;
    NF_CHECK(usable >= kFewest, "[infer] ", usable, " usable simulations are too few; ", kFewest,
             " is the least");
  }

  bool sets(const std::string& key) const {
    return std::any_of(options_.settings.begin(), options_.settings.end(),
                       [&](const std::string& text) { return text.starts_with(key + "="); });
  }

  // What decides of the weights.
  std::vector<std::string> training_words() const {
    std::vector<std::string> given;
    for (const std::string& name : problem_.data) given.push_back(quoted_name(name));
    std::vector<std::string> words = {"train",          options_.model, "--given",
                                      join(given, ","), "--seed",       str(options_.seed)};
    if (kept_.failed() > 0) words.insert(words.end(), {"--missing", "drop"});
    if (!types_.empty()) words.insert(words.end(), {"--types", types_});
    // Chosen among ten, by 2000 rows that were not trained on. With 2000 simulations (1800 rows and
    // 200 for validation) these rows have, in nats: two moons 3.26, with nsf's own settings of
    // training 2.24; SLCP -6.55, with those -7.92.
    if (options_.model == "nsf") {
      for (const char* setting :
           {"layers=5", "hidden_units=64", "lr=3e-3", "clip=1", "ema=0.99", "epochs=100"}) {
        const bool other_end = sets("steps") || sets("budget");
        if (other_end && std::string_view(setting).starts_with("epochs")) continue;
        words.insert(words.end(), {"--set", setting});
      }
    }
    for (const std::string& setting : options_.settings) {
      words.insert(words.end(), {"--set", setting});
    }
    return words;
  }

  // Killed at any moment from here on, the next call finds a run of this record, or none.
  void begin(const Json& record) {
    kept_.note(Json());
    std::filesystem::remove(options_.out + "/config.json");
    kept_.note(record);
  }

  // A run that is of the same rows and settings stays, and goes on where it was interrupted.
  void train() {
    std::vector<std::string> words = training_words();
    const Json record = {
        {"rows", kept_.size()}, {"words", words}, {"observed", observed_checksum()}};
    const Json& before = kept_.noted();
    const bool same = before.is_object() && before.value("rows", Json()) == record["rows"] &&
                      before.value("words", Json()) == record["words"];
    const bool there = same && std::filesystem::exists(options_.out + "/config.json");
    const std::string status = there ? RunFolder::open(options_.out).state().status : "";
    if (status != "finished") {
      if (there && status != "diverged") {
        words = {"resume", options_.out};
      } else {
        begin(record);
        words.insert(words.end(), {"--data", kept_.path(), "--out", options_.out, "--overwrite"});
      }
      const Common& common = options_.common;
      words.insert(words.end(), {"--device", common.device, "--threads", str(common.threads)});
      if (common.quiet) words.push_back("--quiet");
      ignore_closed_pipes();
      catch_interrupts();
      const int ended = run_self("infer", words);
      NF_CHECK(ended == kDone || ended == kInterrupted,
               "[infer] the training failed, as told above; the simulations are in ",
               printable(kept_.path()));
      if (interrupted()) {
        common.note("interrupted; the same command goes on with the training");
        throw Interrupted();
      }
    } else if (before != record) {
      kept_.note(record);
    }
  }

  TrainedModel model() const {
    Common silent = options_.common;
    silent.quiet = true;
    return load_model(options_.out, "best", silent, device_);
  }

  std::vector<double> scores_given(const TrainedModel& model, const Tensor& x) const {
    return flows::score(*model.density, x, {.given = spread_over(problem_.observed, x.dim(0))});
  }

  // Draws of the prior where the posterior has at least the density that all but 1 in 10,000 of its
  // own draws have.
  void next_round() {
    const TrainedModel trained = model();
    constexpr std::int64_t kDraws = 10'000;
    Generator gen(options_.seed, kRegion + static_cast<std::uint64_t>(kept_.rounds().size()));
    std::vector<double> own = scores_given(
        trained,
        sample_in_parts("infer", trained, kDraws, 1, gen, spread_over(problem_.observed, kDraws)));
    std::sort(own.begin(), own.end());
    SimulationRound round{.simulations = 0, .tried = kept_.rounds().back().tried};
    round.threshold = own[static_cast<std::size_t>(1e-4 * kDraws)];
    NF_CHECK(std::isfinite(round.threshold),
             "[infer] the densities of some draws are not finite; see 'flowcli check ",
             printable(options_.out), "'");
    const std::int64_t draws = problem_.prior.dim(0), before = round.tried;
    std::vector<std::int32_t> accepted;
    while (round.simulations < wanted_ && round.tried < draws) {
      const std::int64_t count = std::min(kDraws, draws - round.tried);
      const std::vector<double> scores = scores_given(trained, prior_rows(round.tried, count));
      for (std::size_t i = 0; i < scores.size() && round.simulations < wanted_; ++i) {
        if (scores[i] >= round.threshold) {
          accepted.push_back(static_cast<std::int32_t>(round.tried));
          ++round.simulations;
        }
        ++round.tried;
      }
    }
    const std::string left =
        str(round.simulations, " of ", round.tried - before, " further draws of ",
            printable(options_.prior), " lie where the posterior is");
    NF_CHECK(round.simulations > 0, "[infer] round ", kept_.rounds().size() + 1, ": ", left,
             "; give more draws of the prior in another --out, or fewer --rounds");
    options_.common.note(str("round ", kept_.rounds().size() + 1, ": ", left,
                             round.simulations < wanted_
                                 ? str("; ", wanted_, " are wanted: more draws would help")
                                 : ""));
    const Tensor places = Tensor::from(accepted, {round.simulations});
    kept_.add(index_select(problem_.prior, 0, index_select(order_, 0, places)), round,
              /*more=*/false);
  }

  // --- results ----------------------------------------------------------------------------------

  void warn_of_far_data() const {
    const Tensor simulated = kept_.data();
    for (std::size_t j = 0; j < problem_.data.size(); ++j) {
      const auto column = static_cast<std::int64_t>(j);
      const std::vector<double> all = simulated.narrow(1, column, 1).to_vector<double>();
      const auto [low, high] = std::minmax_element(all.begin(), all.end());
      for (const double x : problem_.observed.narrow(1, column, 1).to_vector<double>()) {
        if (x >= *low && x <= *high) continue;
        options_.common.note(str("note: observed ", printable(problem_.data[j]), " = ", digits(x),
                                 " is beyond all simulations (", digits(*low), " to ",
                                 digits(*high), "): the posterior there is a guess; does the ",
                                 "simulator describe the data?"));
        break;
      }
    }
  }

  Posterior draw_posterior(const TrainedModel& trained, const std::string& file) const {
    const std::int64_t rows = problem_.observed.dim(0), n = rows * options_.count;
    Generator gen(options_.seed, kPosterior);
    const Tensor draws =
        sample_in_parts("infer", trained, n, 1, gen, spread_over(problem_.observed, n));
    write_samples(file, draws, trained, 0, {}, 0, rows > 1 ? options_.count : 0);
    return posterior_of(draws, rows, problem_.parameters, whole_columns(trained),
                        parse_shares(options_.quantiles, "quantiles"));
  }

  void tell() const {
    warn_of_far_data();
    const TrainedModel trained = model();
    const std::string file = options_.out + "/posterior.csv";
    const Posterior posterior = draw_posterior(trained, file);
    RowOptions held_out;
    held_out.split = "test";
    held_out.count = kCalibratedRows;
    held_out.asked = [] { return false; };
    const Calibrated calibration =
        calibrate_rows(trained, held_out.load(trained), {.seed = options_.seed});
    Json json = {{"run", options_.out},
                 {"simulations", kept_.size()},
                 {"failed", kept_.failed()},
                 {"rounds", rounds_json()},
                 {"file", file},
                 {"draws", options_.count},
                 {"posterior", posterior.json},
                 {"calibration", calibration.json}};
    options_.common.result(
        json, str(posterior.text, options_.count, " draws",
                  problem_.observed.dim(0) > 1 ? " for each row" : "", ": ", file,
                  "\n\ncalibration on simulations that were held out: ", calibration.text));
    if (interrupted()) throw Interrupted();
  }

  Json rounds_json() const {
    Json json = Json::array();
    std::int64_t tried = 0;
    for (const SimulationRound& round : kept_.rounds()) {
      const auto all = static_cast<double>(round.tried - std::exchange(tried, round.tried));
      json.push_back({{"simulations", round.simulations},
                      {"acceptance", number(static_cast<double>(round.simulations) / all)},
                      {"threshold", number(round.threshold)}});
    }
    return json;
  }

  const InferOptions& options_;
  Device device_;
  Problem problem_;
  std::string types_;
  std::int64_t wanted_;
  FileLock lock_;
  Simulations kept_;
  Tensor order_;  // i32 (M), of the draws of the prior
};

void infer(const InferOptions& options) {
  const Device device = options.common.apply();
  check_settings(options);
  check_usage(is_utf8(options.program), "[infer] the simulator '", printable(options.program),
              "' is no UTF-8; give a link to it");
  parse_shares(options.quantiles, "quantiles");
  check_simulator(options.program);
  Inference(options, device).run();
}

constexpr const char* kInferHelp =
    R"(The program reads a line of parameters, as 0.1,2 in the order of prior.csv,
and writes a line of numbers for each, as many as observed.csv has columns; no
names. It may be a command line for sh. Each of its processes gets some lines,
then the end of its input, and FLOWCLI_SEED as a seed in its environment. A
simulation that fails writes nan, and is left out. What was simulated is in
RUN/simulations.csv; the same command goes on where it was interrupted,
another --observed needs no new simulations, and more --simulations are added
to those that are there.

RUN is a run as 'train --given' makes it: 'sample RUN --given-file', 'eval'
and 'report' take it. More rounds simulate only where the posterior of one
observation is, among draws of the prior that were not tried before: give many
of them.

Examples:
  flowcli infer --simulator ./sim --prior p.csv --observed x.csv --out runs/sim
    eight Python programs at a time:  --simulator 'python3 sim.py' --workers 8
    where one observation is, more exactly:  --rounds 3 --simulations 1000
    other settings of the training:  --types rate=bounded:0: --set budget=5
)";

}  // namespace

void add_infer(CLI::App& app) {
  auto options = std::make_shared<InferOptions>();
  CLI::App* command =
      app.add_subcommand("infer", "Which parameters of a simulator explain an observation?");
  command->add_option("--simulator", options->program, "A program, or a command line for sh")
      ->required()
      ->type_name("PROGRAM");
  command->add_option("--prior", options->prior, "CSV: draws of the parameters, with their names")
      ->required()
      ->type_name("FILE");
  command->add_option("--observed", options->observed, "CSV: rows as the program writes them")
      ->required()
      ->type_name("FILE");
  command->add_option("--out", options->out, "Run folder")->required();
  command
      ->add_option("--simulations", options->simulations,
                   "Of each round (default: 10000, or all draws of the prior)")
      ->check(whole(20, kMostSimulations));
  command
      ->add_option("--rounds", options->rounds,
                   "More than 1: truncate the prior to where the posterior is")
      ->check(whole(1, 100))
      ->capture_default_str();
  command
      ->add_option("--workers", options->workers,
                   "Processes of the program at a time (default: as many as threads)")
      ->check(whole(1, 1000));
  command
      ->add_option("--lines", options->lines_each,
                   "Lines that one process is given (default: a sixteenth, at most 1000)")
      ->check(whole(1, kMostSimulations));
  command
      ->add_option("--timeout", options->timeout,
                   "Seconds without an answer that end it (0: none do)")
      ->check(real(0))
      ->capture_default_str();
  command->add_option("-n,--count", options->count, "Draws of the posterior for each observed row")
      ->check(whole(100, 10'000'000))
      ->capture_default_str();
  command->add_option("--quantiles", options->quantiles, "Of the posterior, that are told")
      ->type_name("Q,...")
      ->capture_default_str();
  command
      ->add_option("--types", options->types,
                   "Of parameters, as of train; bounds are else guessed from the prior")
      ->type_name("NAME=TYPE,...");
  command->add_option("--model", options->model, "Of p(parameters | data)")
      ->check(one_of({"nsf", "maf", "made", "realnvp-2d"}))
      ->capture_default_str();
  command->add_option("--set", options->settings, "A setting of its training; may be repeated")
      ->take_all()
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
  add_seed(*command, options->seed, "Of all that is drawn");
  options->common.add_to(*command);
  command->footer(kInferHelp);
  command->callback([options] { infer(*options); });
}

}  // namespace nf::cli

#include "data/splits.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <numeric>

#include "data/setting_error.h"
#include "tensor/checksum.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tensor/text.h"

namespace nf::data {
namespace {

using Order = std::vector<std::int32_t>;

/// The same for every seed: which rows are the test is a property of the file.
Order shuffled(std::int64_t n) {
  constexpr std::uint64_t kSeed = 0, kStream = 0x73706C69;  // "spli"
  Generator gen(kSeed, kStream);
  return permutation(gen, n).to_vector<std::int32_t>();
}

Order as_they_stand(std::int64_t n) {
  Order order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

Split take(const Split& rows, const Order& order, std::int64_t first, std::int64_t count) {
  const Tensor index =
      Tensor::from(Order(order.begin() + first, order.begin() + first + count), {count});
  const auto of = [&](const Tensor& t) {
    return t.defined() ? index_select(t, 0, index) : Tensor();
  };
  return {of(rows.x), of(rows.labels), of(rows.numbers), of(rows.given)};
}

/// The rows of a file, which know their place in it.
Split numbered_rows(Split rows) {
  if (!rows.numbers.defined()) rows.numbers = Tensor::arange(rows.size(), DType::I32);
  return rows;
}

// --- groups -------------------------------------------------------------------------------------

bool number(const std::string& text, double& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

/// Whether a text is a date whose order as a text is another: 9/2/2024 stands after 10/2/2024, and
/// 2024-9-1 after 2024-10-1.
bool like_a_date(const std::string& text) {
  std::array<std::size_t, 3> digits{};  // of the three numbers that a date begins with
  std::size_t at = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    if (i > 0 && (at >= text.size() || !std::strchr("./-", text[at++]))) return false;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++digits[i], ++at;
    if (digits[i] == 0 || digits[i] > 4) return false;
  }
  return digits[0] <= 2 || digits[1] == 1 || digits[2] == 1;
}

/// Throws SettingError for groups that have no plain order.
void check_order(const std::vector<std::string>& names) {
  double value = 0;
  const auto is_number = [&](const std::string& name) { return number(name, value); };
  const auto other = std::find_if_not(names.begin(), names.end(), is_number);
  if (other == names.end()) return;
  check_setting(std::none_of(names.begin(), names.end(), is_number), "split_by",
                "[split_by] the column has numbers and also '", printable(*other),
                "', which has no place in their order; leave such rows out of the file");
  const auto date = std::find_if(names.begin(), names.end(), like_a_date);
  check_setting(date == names.end(), "split_by", "[split_by] '",
                date == names.end() ? "" : printable(*date),
                "' would be ordered as text, not as a date; write dates like "
                "2024-07-13, or as numbers");
}

bool by_hash(const std::string& a, const std::string& b) {
  const auto hash = [](const std::string& text) {
    Checksum sum;
    sum.add(text);
    return sum.mixed();
  };
  const std::uint64_t x = hash(a), y = hash(b);
  return x != y ? x < y : a < b;
}

/// Rows in the order of their groups, and where each group begins, the end included.
struct Grouped {
  Order order;
  std::vector<std::int64_t> edges;
};

Grouped grouped(const std::vector<std::string>& groups, bool ordered) {
  std::map<std::string, Order> rows;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    rows[groups[i]].push_back(static_cast<std::int32_t>(i));
  }
  std::vector<std::string> names;
  for (const auto& [name, of_group] : rows) names.push_back(name);
  if (ordered) check_order(names);
  std::sort(names.begin(), names.end(), ordered ? ascending_values : by_hash);
  Grouped out;
  for (const std::string& name : names) {
    out.edges.push_back(std::ssize(out.order));
    out.order.insert(out.order.end(), rows[name].begin(), rows[name].end());
  }
  out.edges.push_back(std::ssize(out.order));
  return out;
}

/// The edge nearest to `at` that leaves at least one group before it, and one between it and `end`.
std::int64_t nearest_edge(const std::string& name, const std::vector<std::int64_t>& edges,
                          std::int64_t at, std::int64_t end) {
  std::int64_t best = -1;
  for (const std::int64_t edge : edges) {
    if (edge <= 0 || edge >= end) continue;
    if (best < 0 || std::abs(edge - at) < std::abs(best - at)) best = edge;
  }
  NF_CHECK(best > 0, "[data] '", name, "': split_by makes ", edges.size() - 1,
           " groups of rows, too few for the parts; give --valid 0 or --test 0, or another column");
  return best;
}

/// What to say when groups leave a part less than half of what was wanted, or more than twice as
/// much; else nothing.
std::string uneven(const Grouped& groups, const std::array<std::int64_t, 3>& wanted,
                   const std::array<std::int64_t, 3>& made) {
  bool even = true;
  for (std::size_t i = 0; i < made.size(); ++i) {
    even = even && made[i] <= 2 * wanted[i] && wanted[i] <= 2 * made[i];
  }
  if (even) return {};
  std::int64_t largest = 0;
  for (std::size_t i = 1; i < groups.edges.size(); ++i) {
    largest = std::max(largest, groups.edges[i] - groups.edges[i - 1]);
  }
  return str("split_by makes parts of ", made[0], " / ", made[1], " / ", made[2],
             " rows (training / validation / test), where ", wanted[0], " / ", wanted[1], " / ",
             wanted[2], " were meant: groups stay whole, and the largest has ", largest, " rows");
}

// --- cuts ---------------------------------------------------------------------------------------

/// Where validation and test begin in an order of the training rows.
struct Cut {
  std::int64_t valid_begin, test_begin, end;
};

/// How many rows a part is cut with: 0 when none are wanted, and no fewer than its share.
std::int64_t zone(std::int64_t wanted, std::int64_t share) {
  return wanted == 0 ? 0 : std::max(wanted, share);
}

struct Wanted {
  std::int64_t train, valid, test;  ///< -1: as many as there are
};

Cut cut_at(const std::string& name, std::int64_t n, const Wanted& wanted, std::int64_t valid_share,
           bool exact) {
  std::int64_t test = zone(wanted.test, n / 10), valid = zone(wanted.valid, n / valid_share);
  const std::int64_t least_test = wanted.test < 0 ? test : wanted.test,
                     least_valid = wanted.valid < 0 ? valid : wanted.valid;
  const std::int64_t train = std::max<std::int64_t>(wanted.train, 0);
  const auto most = std::max({wanted.train, wanted.valid, wanted.test});
  const char* const key = most == wanted.train ? "train" : most == wanted.valid ? "valid" : "test";
  check_counts(key, name, train + least_valid + least_test, n);
  if (exact || train + valid + test > n) {
    test = least_test;
    valid = least_valid;
  }
  return {n - test - valid, n - test, n};
}

/// "2/5"; of = 0: none.
struct Fold {
  std::int64_t number = 1, of = 0;
};

Fold parse_fold(const std::string& text) {
  constexpr std::int64_t kMostFolds = 1000;
  if (text.empty()) return {};
  const std::size_t slash = text.find('/');
  double number_of = 0, of = 0;
  const bool right = slash != std::string::npos && number(text.substr(0, slash), number_of) &&
                     number(text.substr(slash + 1), of) && of >= 2 && of <= kMostFolds &&
                     number_of >= 1 && number_of <= of && of == std::floor(of) &&
                     number_of == std::floor(number_of);
  check_setting(right, "fold", "[fold] '", printable(text),
                "' is no fold; write 2/5 for the second of five, of at most ", kMostFolds);
  return {static_cast<std::int64_t>(number_of), static_cast<std::int64_t>(of)};
}

/// Turns the order, so that the rows of the fold are its last ones, and returns how many they are.
/// `edges` of groups, which stay whole, turn with it; empty: without groups.
std::int64_t turn_to_fold(const std::string& name, const Fold& fold, Order& order,
                          std::vector<std::int64_t>& edges) {
  const std::int64_t n = std::ssize(order);
  const auto begin_of = [&](std::int64_t j) {
    const std::int64_t at = n * j / fold.of;
    if (edges.empty()) return at;
    return *std::min_element(edges.begin(), edges.end(), [&](std::int64_t a, std::int64_t b) {
      return std::abs(a - at) < std::abs(b - at);
    });
  };
  for (std::int64_t j = 0; j < fold.of; ++j) {
    check_setting(begin_of(j) < begin_of(j + 1), "fold", "[fold] '", printable(name),
                  "': ", edges.empty() ? str(n, " rows") : str(edges.size() - 1, " groups of rows"),
                  " are too few for ", fold.of, " folds");
  }
  const std::int64_t begin = begin_of(fold.number - 1), end = begin_of(fold.number);
  std::rotate(order.begin(), order.begin() + end, order.end());
  for (std::int64_t& edge : edges) edge = edge == end ? n : (edge - end + n) % n;
  if (!edges.empty()) edges.push_back(0);
  std::sort(edges.begin(), edges.end());
  edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  return end - begin;
}

/// Throws SettingError where folds and other settings both say which rows are the test.
void check_fold(const Parts& parts, const LoadOptions& options) {
  if (options.fold.empty()) return;
  check_setting(!parts.test, "fold",
                "[fold] the test part is there by itself; folds are of rows that are in no part");
  check_setting(options.test < 0, "fold", "[fold] says which rows are the test; leave test out");
  check_setting(!parse_split_by(options.split_by).ordered, "fold",
                "[fold] ordered groups have one test, the latest; leave fold or ordered: out");
}

/// Some rows of a part that is there by itself: of a published one the first, else drawn.
Split some_of(const char* key, const std::string& name, const Split& rows, std::int64_t wanted,
              bool first) {
  const std::int64_t n = rows.size();
  if (wanted < 0 || wanted == n) return rows;
  check_counts(key, name, wanted, n);
  if (first) return narrow(rows, 0, wanted);
  Order order = shuffled(n);
  std::sort(order.begin(), order.begin() + wanted);
  return take(rows, order, 0, wanted);
}

std::string cut_in_words(const Parts& parts, bool published, const LoadOptions& options) {
  const SplitBy by = parse_split_by(options.split_by);
  const std::string drawn =
      by.column.empty() ? "drawn from the rows at random, the same ones every time"
      : by.ordered      ? "cut where the column '" + printable(by.column) + "' grows, test the last"
                        : "whole groups of the column '" + printable(by.column) +
                         "', drawn at random, the same ones every time";
  const std::string fold = options.fold.empty() ? "" : "test is fold " + options.fold + "; ";
  const auto source = [&](const std::string& file) {
    return file.empty() ? std::string("the source's own") : "'" + printable(file) + "'";
  };
  const std::string valid = source(options.valid_data), test = source(options.test_data);
  const std::string rest = published ? "the end of the training samples" : drawn;
  if (parts.valid && parts.test) {
    return valid == test ? valid : "validation is " + valid + ", test " + test;
  }
  if (parts.test) return "test is " + test + ", validation " + rest;
  if (parts.valid) return fold + "validation is " + valid + ", test " + rest;
  return options.in_file_order ? "in the order of the file: training, validation, test"
                               : fold + rest;
}

}  // namespace

bool ascending_values(const std::string& a, const std::string& b) {
  double x = 0, y = 0;
  const bool first = number(a, x), second = number(b, y);
  if (first != second) return first;
  return first && x != y ? x < y : a < b;
}

Split narrow(const Split& all, std::int64_t first, std::int64_t count) {
  Split out{all.x.narrow(0, first, count), {}};
  if (all.labels.defined()) out.labels = all.labels.narrow(0, first, count);
  if (all.numbers.defined()) out.numbers = all.numbers.narrow(0, first, count);
  if (all.given.defined()) out.given = all.given.narrow(0, first, count);
  return out;
}

void check_counts(const char* key, const std::string& what, std::int64_t wanted,
                  std::int64_t there) {
  check_setting(wanted <= there, key, "[data] '", printable(what), "': ", wanted,
                " samples asked for, ", there, " are there; ask for fewer");
}

SplitBy parse_split_by(const std::string& text) {
  constexpr std::string_view kOrdered = "ordered:";
  const bool ordered = text.starts_with(kOrdered);
  return {ordered ? text.substr(kOrdered.size()) : text, ordered};
}

void split_rows(const Parts& parts, const LoadOptions& options, Dataset& out) {
  check_fold(parts, options);
  const Split rows = numbered_rows(parts.train.rows);
  const std::int64_t n = rows.size();
  const bool published = !parts.train.family.empty() && parts.test && options.test_data.empty();
  const bool as_it_is = published || options.in_file_order;
  const bool by_group = !as_it_is && !parts.train.groups.empty();
  out.cut = cut_in_words(parts, published, options);

  Grouped groups;
  if (by_group) groups = grouped(parts.train.groups, parse_split_by(options.split_by).ordered);
  Order order = by_group ? groups.order : as_it_is ? as_they_stand(n) : shuffled(n);
  Wanted wanted{options.train, parts.valid ? 0 : options.valid, parts.test ? 0 : options.test};
  const Fold fold = options.in_file_order ? Fold() : parse_fold(options.fold);
  if (fold.of > 0) wanted.test = turn_to_fold(out.name, fold, order, groups.edges);
  Cut cut = cut_at(out.name, n, wanted, parts.valid_share, options.in_file_order || fold.of > 0);
  if (by_group) {
    const Cut meant = cut;
    if (cut.test_begin < cut.end) {
      cut.test_begin = nearest_edge(out.name, groups.edges, cut.test_begin, cut.end);
      cut.valid_begin = std::min(cut.valid_begin, cut.test_begin);
    }
    if (wanted.valid != 0 && cut.valid_begin < n) {
      cut.valid_begin = nearest_edge(out.name, groups.edges, cut.valid_begin, cut.test_begin);
    } else {
      cut.valid_begin = cut.test_begin;
    }
    const auto sizes = [](const Cut& c) {
      return std::array{c.valid_begin, c.test_begin - c.valid_begin, c.end - c.test_begin};
    };
    const std::string note = uneven(groups, sizes(meant), sizes(cut));
    if (!note.empty() && !options.of_run) out.notes.push_back(note);
  }
  // Fewer rows than a part has are its last ones.
  const auto part = [&](std::int64_t begin, std::int64_t end, std::int64_t count) {
    const std::int64_t have = end - begin;
    const std::int64_t taken = count < 0 ? have : std::min(count, have);
    return as_it_is ? narrow(rows, end - taken, taken) : take(rows, order, end - taken, taken);
  };
  out.test = parts.test ? some_of("test", out.name, numbered_rows(parts.test->rows), options.test,
                                  published)
                        : part(cut.test_begin, cut.end, wanted.test);
  out.valid = parts.valid ? some_of("valid", out.name, numbered_rows(parts.valid->rows),
                                    options.valid, published)
                          : part(cut.valid_begin, cut.test_begin, wanted.valid);
  const std::int64_t train = options.train < 0 ? cut.valid_begin : options.train;
  check_counts("train", out.name, train, cut.valid_begin);
  if (by_group) {  // the first rows shall be of all groups
    out.train = take(part(0, cut.valid_begin, -1), shuffled(cut.valid_begin), 0, train);
  } else {
    out.train = as_it_is ? narrow(rows, 0, train) : take(rows, order, 0, train);
  }
}

}  // namespace nf::data

// Profile: time, bytes and products of a computation, by the part of the program that asked for
// them.
//
//   Profile profile;                      // from here on, this thread is watched
//   { const Profile::Scope of(this); ... }  // what is computed here is this object's
//   for (const Profile::Part& part : profile.parts()) ...
//
// What lies between the ends of two Scopes is of the innermost one that is open, and of no other:
// the parts and the rest are the whole. Without a Profile a Scope is the look at one pointer.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "tensor/clock.h"
#include "tensor/storage.h"

namespace nf {

class Backend;

class Profile {
 public:
  /// What a part does at the moment; None: neither.
  enum Pass : std::uint8_t { None, Forward, Backward };
  static constexpr std::size_t kPasses = 3;

  struct Cost {
    double seconds = 0;
    double bytes = 0;  ///< read and written by operations of tensors, each byte once an operation
    double flops = 0;  ///< of matrix products: two for a multiply-add
    std::int64_t operations = 0;

    Cost& operator+=(const Cost& other);
  };

  struct Part {
    const void* of = nullptr;  ///< the object that a Scope was opened for
    std::string label;         ///< where it was opened for a label
    std::array<Cost, kPasses> passes = {};

    Cost total() const;
  };

  /// Watches this thread while it lives; no other Profile of the thread may. `clock` gives seconds.
  explicit Profile(std::function<double()> clock = seconds_now);
  ~Profile();
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;

  /// The one that watches this thread, or null.
  static Profile* current() { return watching_; }

  /// The parts, in the order in which they were done for the first time. A part that asked for no
  /// operation, like a list of layers, is counted with the part that holds it.
  std::vector<Part> parts() const;
  /// What was in no part.
  Cost rest() const { return total_of(0); }
  /// All of it: the sum of parts() and rest().
  Cost whole() const;

  /// Opens a part until it ends. An object's does what the part around does, unless a pass is
  /// given.
  class Scope {
   public:
    explicit Scope(const void* of) : profile_(current()) {
      if (profile_) profile_->enter(of, nullptr, profile_->open_.back().pass);
    }
    Scope(const void* of, Pass pass) : profile_(current()) {
      if (profile_) profile_->enter(of, nullptr, pass);
    }
    /// A part that is no object: its label, a literal, is its name.
    explicit Scope(const char* label, Pass pass = None) : profile_(current()) {
      if (profile_) profile_->enter(label, label, pass);
    }
    ~Scope() {
      if (profile_) profile_->leave();
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Profile* profile_;
  };

  /// What the innermost Scope was opened for; null outside all and without a Profile.
  static const void* part_now() {
    return watching_ ? watching_->entries_[watching_->open_.back().entry].part.of : nullptr;
  }

  /// `backend`, told to this profile at each call: how backend_for() counts.
  Backend& counting(Backend& backend);
  void count(double bytes, double flops);

 private:
  struct Entry {
    Part part;
    std::size_t around = 0;  ///< the part in which it was first opened; 0: none
    bool done = false;
  };
  struct Open {
    std::size_t entry = 0;
    Pass pass = None;
  };

  void enter(const void* of, const char* label, Pass pass);
  void leave();
  void charge();
  Cost total_of(std::size_t entry) const { return entries_[entry].part.total(); }

  static inline constinit thread_local Profile* watching_ = nullptr;

  std::function<double()> clock_;
  std::vector<Entry> entries_;  ///< the first is the rest
  std::unordered_map<const void*, std::size_t> places_;
  std::vector<std::size_t> order_;  ///< in which they were done for the first time
  std::vector<Open> open_;
  std::array<std::unique_ptr<Backend>, 2> counting_;  ///< of each device
  double last_ = 0;
};

}  // namespace nf

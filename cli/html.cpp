// The pieces of a page.
#include "cli/html.h"

#include <cstdint>

#include "data/svg.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

using data::markup;

constexpr const char* kStyle = R"(
body { font: 15px/1.5 sans-serif; color: #222; background: #fdfdfb; max-width: 60em;
       margin: 2em auto; padding: 0 1em; }
h2 { border-bottom: 1px solid #ddd; margin-top: 2em; }
table { border-collapse: collapse; max-width: 100%; }
td { padding: .1em 1.5em .1em 0; font-variant-numeric: tabular-nums; vertical-align: top;
     overflow-wrap: anywhere; }
td:first-child { white-space: nowrap; }
h1, li, p { overflow-wrap: anywhere; }
pre { font-size: 12px; overflow-x: auto; background: #f4f4ef; padding: 1em; }
figure { display: inline-block; margin: 0 1em 1em 0; vertical-align: top; max-width: 100%; }
figcaption { color: #666; }
img { image-rendering: pixelated; max-width: 100%; height: auto; }
svg { display: block; width: 100%; }
.columns { columns: 3 16em; }
.grid { display: block; overflow-x: auto; }
th { text-align: left; padding: .1em 1.5em .1em 0; font-weight: normal; color: #666; }
)";

// RFC 4648, section 4.
std::string base64(const std::string& bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (i + k < bytes.size() ? static_cast<std::uint8_t>(bytes[i + k]) : 0);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += i + k > bytes.size() ? '=' : kDigits[group >> (18 - 6 * k) & 63];
    }
  }
  return out;
}

}  // namespace

std::string html_picture(const std::string& png, const std::string& caption) {
  return "<figure><img alt=\"\" src=\"data:image/png;base64," + base64(png) + "\"><figcaption>" +
         markup(caption) + "</figcaption></figure>\n";
}

std::string html_drawing(const std::string& svg, double width, const std::string& caption) {
  return str("<figure style=\"width: ", width, "px\">", svg, "<figcaption>", markup(caption),
             "</figcaption></figure>\n");
}

std::string html_section(const std::string& title, const std::string& body) {
  return "<h2>" + markup(title) + "</h2>\n" + body;
}

std::string html_table(const std::vector<std::pair<std::string, std::string>>& rows) {
  std::string out = "<table>\n";
  for (const auto& [name, value] : rows) {
    out += "<tr><td>" + markup(name) + "</td><td>" + markup(value) + "</td></tr>\n";
  }
  return out + "</table>\n";
}

std::string html_grid(const std::vector<std::vector<std::string>>& rows) {
  std::string out = "<table class=\"grid\">\n";
  const char* cell = "th";
  for (const auto& row : rows) {
    out += "<tr>";
    for (const std::string& text : row) {
      out += str("<", cell, ">", markup(text), "</", cell, ">");
    }
    out += "</tr>\n";
    cell = "td";
  }
  return out + "</table>\n";
}

std::string html_document(const std::string& title, const std::string& body) {
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
         markup(title) + "</title>\n<style>" + kStyle + "</style>\n</head>\n<body>\n<h1>" +
         markup(title) + "</h1>\n" + body + "</body>\n</html>\n";
}

}  // namespace nf::cli

// Pieces of a page that needs no other file: pictures and drawings are inside.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace nf::cli {

/// The bytes of a PNG file as a figure.
std::string html_picture(const std::string& png, const std::string& caption);
/// An SVG document as a figure, `width` pixels wide where the page has room.
std::string html_drawing(const std::string& svg, double width, const std::string& caption);
std::string html_section(const std::string& title, const std::string& body);
/// Names and values.
std::string html_table(const std::vector<std::pair<std::string, std::string>>& rows);
/// Rows of equally many cells, the first row as headings. A wide one scrolls.
std::string html_grid(const std::vector<std::vector<std::string>>& rows);
std::string html_document(const std::string& title, const std::string& body);

}  // namespace nf::cli

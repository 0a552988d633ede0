# SPDX-License-Identifier: GPL-2.0-only
# Writes OUTPUT, a header with the text of each of FILES: page.css as kPageCss.
set(content "// Made by tools/report/embed.cmake.\n#pragma once\nnamespace reprise::report {\n")
foreach(file IN LISTS FILES)
  get_filename_component(extension ${file} LAST_EXT)
  string(SUBSTRING ${extension} 1 -1 extension)
  string(SUBSTRING ${extension} 0 1 first)
  string(SUBSTRING ${extension} 1 -1 rest)
  string(TOUPPER ${first} first)
  file(READ ${file} text)
  string(APPEND content "inline constexpr char kPage${first}${rest}[] = R\"~page~(${text})~page~\";\n")
endforeach()
string(APPEND content "}  // namespace reprise::report\n")
file(WRITE ${OUTPUT} "${content}")

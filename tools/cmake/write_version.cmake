# SPDX-License-Identifier: GPL-2.0-only
# Writes generated/version.h; see RepriseVersion.cmake.
cmake_minimum_required(VERSION 3.25)
function(hash_files output)
  set(all "")
  set(files ${ARGN})
  list(SORT files)
  foreach(file IN LISTS files)
    get_filename_component(name ${file} NAME)
    file(SHA256 ${file} sum)
    string(APPEND all "${name} ${sum}\n")
  endforeach()
  string(SHA256 sum "${all}")
  set(${output} ${sum} PARENT_SCOPE)
endfunction()
hash_files(engine ${ENGINE})
hash_files(policies ${POLICIES})
hash_files(bpf ${BPF})
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "// Made by tools/cmake/write_version.cmake.
#pragma once
namespace reprise {
inline constexpr char kVersion[] = \"@VERSION@\";
inline constexpr char kCompiler[] = \"@COMPILER@\";
inline constexpr char kBuildType[] = \"@BUILD_TYPE@\";
inline constexpr char kEngineHash[] = \"@engine@\";
inline constexpr char kPoliciesHash[] = \"@policies@\";
inline constexpr char kDispatcherHash[] = \"@bpf@\";
}  // namespace reprise
" @ONLY)

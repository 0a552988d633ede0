# SPDX-License-Identifier: GPL-2.0-only
# reprise_flags: what all our own code is compiled with. Link it PRIVATE.
add_library(reprise_flags INTERFACE)
target_include_directories(reprise_flags INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
target_compile_options(reprise_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor -Woverloaded-virtual
  -Werror -fno-strict-aliasing)
# A false alarm of gcc 12 in its own std::string (GCC bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(reprise_flags INTERFACE -Wno-restrict)
endif()
if(REPRISE_SANITIZE)
  # gcc's manual: with sanitizers there are more false alarms of this one; it is on in all other builds.
  target_compile_options(reprise_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  target_compile_options(reprise_flags INTERFACE -fsanitize=${REPRISE_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(reprise_flags INTERFACE -fsanitize=${REPRISE_SANITIZE})
endif()

# reprise_library(NAME sources...): a static library with our flags.
function(reprise_library name)
  add_library(${name} STATIC ${ARGN})
  target_link_libraries(${name} PRIVATE reprise_flags)
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
endfunction()

# reprise_hot(targets...): what simulations spend their time in. In releases of gcc the linker optimises it across files,
# in every program that links it: some seconds each, for simulations that are a tenth faster. With REPRISE_PROFILE=make
# programs leave a profile beside the objects when they end, with REPRISE_PROFILE=use the objects are compiled by that:
# the preset `profiled`, which tools/dev takes through both.
function(reprise_hot)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU" OR NOT CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo" OR REPRISE_SANITIZE)
    return()
  endif()
  set_target_properties(${ARGN} PROPERTIES INTERPROCEDURAL_OPTIMIZATION ON)
  foreach(target ${ARGN})
    if(REPRISE_PROFILE STREQUAL "make")
      target_compile_options(${target} PRIVATE -fprofile-generate -fprofile-update=prefer-atomic)
      target_link_options(${target} INTERFACE -fprofile-generate)
    elseif(REPRISE_PROFILE STREQUAL "use")
      target_compile_options(${target} PRIVATE -fprofile-use -fprofile-partial-training -Wno-missing-profile)
    endif()
  endforeach()
endfunction()

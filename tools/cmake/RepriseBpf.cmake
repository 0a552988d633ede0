# SPDX-License-Identifier: GPL-2.0-only
# reprise_bpf_object(NAME source): compiles source.bpf.c for BPF and makes the library NAME, whose header
# generated/NAME.skel.h is libbpf's skeleton. Also the imported target libbpf (static, from tools/dev setup).
set(REPRISE_CACHE "$ENV{REPRISE_CACHE}" CACHE PATH "Cache folder of tools/dev setup")
if(NOT REPRISE_CACHE)
  if(DEFINED ENV{XDG_CACHE_HOME})
    set(REPRISE_CACHE "$ENV{XDG_CACHE_HOME}/reprise" CACHE PATH "" FORCE)
  else()
    set(REPRISE_CACHE "$ENV{HOME}/.cache/reprise" CACHE PATH "" FORCE)
  endif()
endif()

find_library(LIBBPF_LIBRARY libbpf.a PATHS ${REPRISE_CACHE}/libbpf PATH_SUFFIXES lib lib64 NO_DEFAULT_PATH)
find_path(LIBBPF_INCLUDE bpf/libbpf.h PATHS ${REPRISE_CACHE}/libbpf/include NO_DEFAULT_PATH)
find_program(BPF_CLANG NAMES clang-19 clang)
find_program(BPFTOOL NAMES bpftool PATHS /usr/sbin)
foreach(need LIBBPF_LIBRARY LIBBPF_INCLUDE BPF_CLANG BPFTOOL)
  if(NOT ${need})
    message(FATAL_ERROR "${need} not found. Run tools/dev setup, or configure with -DREPRISE_LIVE=OFF.")
  endif()
endforeach()

add_library(libbpf STATIC IMPORTED GLOBAL)
set_target_properties(libbpf PROPERTIES IMPORTED_LOCATION ${LIBBPF_LIBRARY}
  INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "" INTERFACE_LINK_LIBRARIES "elf;z")
target_include_directories(libbpf SYSTEM INTERFACE ${LIBBPF_INCLUDE})

if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  set(REPRISE_BPF_ARCH x86)
elseif(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
  set(REPRISE_BPF_ARCH arm64)
else()
  message(FATAL_ERROR "the BPF side is not tried on ${CMAKE_SYSTEM_PROCESSOR}")
endif()

function(reprise_bpf_object name source)
  set(object ${CMAKE_BINARY_DIR}/generated/${name}.bpf.o)
  set(skeleton ${CMAKE_BINARY_DIR}/generated/${name}.skel.h)
  add_custom_command(OUTPUT ${skeleton}
    COMMAND ${BPF_CLANG} -g -O2 -std=gnu11 -Wall -Wextra -Werror -Wno-unused-parameter -Wno-unused-function
      -target bpf -mcpu=v3 -D__TARGET_ARCH_${REPRISE_BPF_ARCH} -I${CMAKE_SOURCE_DIR} -isystem ${LIBBPF_INCLUDE}
      -MD -MF ${object}.d -c ${source} -o ${object}
    # No paths of this machine and no line table in the binary: the same source gives the same object.
    COMMAND ${BPFTOOL} gen skeleton ${object} name ${name} > ${skeleton}
    DEPENDS ${source} DEPFILE ${object}.d COMMENT "BPF ${name}" VERBATIM)
  add_custom_target(${name}_skeleton DEPENDS ${skeleton})
  add_library(${name} INTERFACE)
  add_dependencies(${name} ${name}_skeleton)
  target_include_directories(${name} SYSTEM INTERFACE ${CMAKE_BINARY_DIR}/generated)
  target_link_libraries(${name} INTERFACE libbpf)
endfunction()

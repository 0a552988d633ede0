# SPDX-License-Identifier: GPL-2.0-only
# generated/version.h: the project's version, the compiler, and SHA-256 of the code that decides (engine, policies,
# dispatcher), so that a trace can say what made it. Made again whenever one of the files changes.
file(GLOB REPRISE_ENGINE_FILES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/scheduler/core/*.h ${CMAKE_SOURCE_DIR}/scheduler/core/*.cc)
file(GLOB REPRISE_POLICY_FILES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/scheduler/policies/*.h ${CMAKE_SOURCE_DIR}/scheduler/policies/*.cc)
file(GLOB REPRISE_BPF_FILES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/bpf/*.h ${CMAKE_SOURCE_DIR}/bpf/*.bpf.c)
set(REPRISE_VERSION_HEADER ${CMAKE_BINARY_DIR}/generated/version.h)
add_custom_command(
  OUTPUT ${REPRISE_VERSION_HEADER}
  COMMAND ${CMAKE_COMMAND} -DOUTPUT=${REPRISE_VERSION_HEADER} -DVERSION=${PROJECT_VERSION}
    "-DCOMPILER=${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}" "-DBUILD_TYPE=${CMAKE_BUILD_TYPE}"
    "-DENGINE=${REPRISE_ENGINE_FILES}" "-DPOLICIES=${REPRISE_POLICY_FILES}" "-DBPF=${REPRISE_BPF_FILES}"
    -P ${CMAKE_SOURCE_DIR}/tools/cmake/write_version.cmake
  DEPENDS ${REPRISE_ENGINE_FILES} ${REPRISE_POLICY_FILES} ${REPRISE_BPF_FILES} ${CMAKE_SOURCE_DIR}/tools/cmake/write_version.cmake
  COMMENT "hashing the code that decides" VERBATIM)
add_custom_target(reprise_version_header DEPENDS ${REPRISE_VERSION_HEADER})

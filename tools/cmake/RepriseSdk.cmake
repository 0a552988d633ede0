# SPDX-License-Identifier: GPL-2.0-only
# Installs what a policy outside of this repository is made with: headers, the CMake package `reprise`, the program.
#   cmake --install build/release --prefix DIR
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# reprise_loads_policies(PROGRAM): shared objects with policies find the engine's interface in it.
function(reprise_loads_policies program)
  target_link_options(${program} PRIVATE -Wl,--dynamic-list=${CMAKE_SOURCE_DIR}/tools/sdk/exports.txt)
  set_property(TARGET ${program} APPEND PROPERTY LINK_DEPENDS ${CMAKE_SOURCE_DIR}/tools/sdk/exports.txt)
endfunction()

set(REPRISE_SDK_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/reprise)
configure_package_config_file(${CMAKE_SOURCE_DIR}/tools/sdk/repriseConfig.cmake.in ${CMAKE_BINARY_DIR}/sdk/repriseConfig.cmake
  INSTALL_DESTINATION ${REPRISE_SDK_DIR} PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_BINDIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/sdk/repriseConfigVersion.cmake COMPATIBILITY SameMinorVersion)

file(GLOB REPRISE_SDK_HEADERS CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/scheduler/core/*.h)
install(FILES ${REPRISE_SDK_HEADERS} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/reprise/scheduler/core)
install(FILES ${CMAKE_SOURCE_DIR}/scheduler/policies/aging.h ${CMAKE_SOURCE_DIR}/scheduler/policies/place.h
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/reprise/scheduler/policies)
install(FILES ${CMAKE_BINARY_DIR}/sdk/repriseConfig.cmake ${CMAKE_BINARY_DIR}/sdk/repriseConfigVersion.cmake
  ${CMAKE_SOURCE_DIR}/tools/sdk/repriseAddPolicy.cmake DESTINATION ${REPRISE_SDK_DIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/tools/sdk/template DESTINATION ${CMAKE_INSTALL_DATADIR}/reprise)

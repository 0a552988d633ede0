# SPDX-License-Identifier: GPL-2.0-only
# reprise_add_policy(NAME FILE...): the shared object NAME.so with the policy in FILE, which ends with REPRISE_POLICY(...).
# When it is built, `reprise policies NAME.so` says whether it fits and may be used; if not, the build fails.
#
# Flags that serve determinism: variables that were forgotten are zero instead of what was there before, and arithmetic
# beyond the range of a signed integer wraps instead of being whatever the optimiser makes of it. Floating point has no
# place in a policy; where it is used all the same, it is at least not rearranged.
function(reprise_add_policy name)
  add_library(${name} MODULE ${ARGN})
  target_link_libraries(${name} PRIVATE reprise::policy)
  target_compile_features(${name} PRIVATE cxx_std_23)
  target_compile_options(${name} PRIVATE -Wall -Wextra -Wconversion -Wno-sign-conversion -fno-strict-aliasing
    -ftrivial-auto-var-init=zero -fwrapv -ffp-contract=off -fno-fast-math)
  target_link_options(${name} PRIVATE -Wl,-z,now -Wl,-z,relro)
  set_target_properties(${name} PROPERTIES PREFIX "" SUFFIX .so CXX_EXTENSIONS OFF CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON)
  add_custom_command(TARGET ${name} POST_BUILD COMMAND reprise::reprise policies $<TARGET_FILE:${name}> VERBATIM)
endfunction()

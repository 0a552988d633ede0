# SPDX-License-Identifier: GPL-2.0-only
# What measures the kernel's side: the transport, on the machine's own kernel, and the programs that vm_compare and
# profile/run take into the virtual machine. Those for guests go to guest/, which tools/vm/run puts on their PATH.
reprise_bpf_object(transport_bpf ${CMAKE_CURRENT_LIST_DIR}/transport.bpf.c)
reprise_bpf_object(lower_bound_bpf ${CMAKE_CURRENT_LIST_DIR}/lower_bound.bpf.c)
reprise_bpf_object(count_calls_bpf ${CMAKE_CURRENT_LIST_DIR}/count_calls.bpf.c)

# Not in the build's root: a guest has no use for it.
add_executable(reprise_bench_transport transport_bench.cc)
target_link_libraries(reprise_bench_transport PRIVATE reprise_flags reprise_live transport_bpf benchmark::benchmark)
set_target_properties(reprise_bench_transport PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
add_test(NAME bench.transport COMMAND reprise_bench_transport --benchmark_filter=/bytes:80/batch:8/)
set_tests_properties(bench.transport PROPERTIES LABELS bench TIMEOUT 300 SKIP_RETURN_CODE 77) # 77: not root

add_executable(lower_bound lower_bound.cc)
target_link_libraries(lower_bound PRIVATE reprise_flags reprise_live lower_bound_bpf)

set(guest_c_flags -std=gnu11 -O2 -Wall -Wextra -Werror)
add_executable(count_calls count_calls.c)
target_link_libraries(count_calls PRIVATE count_calls_bpf)
add_executable(ping_pong guest/ping_pong.c)
add_executable(measured guest/measured.c)
foreach(program ping_pong measured)
  target_link_options(${program} PRIVATE -static) # one place in memory, and nothing to relocate at start
endforeach()
foreach(program count_calls ping_pong measured)
  target_compile_options(${program} PRIVATE ${guest_c_flags})
endforeach()
set_target_properties(lower_bound count_calls ping_pong measured PROPERTIES
  RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/guest)
# Position-independent code would not be linked to a fixed place.
set_target_properties(ping_pong measured PROPERTIES POSITION_INDEPENDENT_CODE OFF)

# For QEMU, not for the guest.
add_library(count_plugin MODULE profile/count.c)
target_compile_options(count_plugin PRIVATE ${guest_c_flags} -fvisibility=hidden)
set_target_properties(count_plugin PROPERTIES PREFIX "" OUTPUT_NAME count
  LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)

# nf_cpu_kernels(target) compiles tensor/cpu/*.cpp and gemm/*.cpp once for each set of instructions and adds the objects
# to a library, with the options of nf_flags. What headers define inline is in each of these objects, with instructions that other
# processors do not have; the linker would keep any one of the copies, for the whole program. So where
# there are several sets, each is linked into one object, in which all names but that of its one
# function, nf::cpu_backend_SET(), are local. On other processors than x86-64 there is one set, for all
# that the compiler takes for granted there: NEON on arm64.
# Of each set: the compiler's flags, the bytes of a register, and the most rows of a product's tile. Its
# sums (rows x 2 registers), two registers of the other operand and one more have to fit: 14 * 2 + 3 of
# 32, 6 * 2 + 3 of 16. Without fused multiply-adds a product needs a register too.
set(NF_CPU_SETS base)  # the best one last
set(NF_CPU_base_tile 16 4)
set(NF_KERNEL_OBJECTS OFF)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(NF_KERNEL_OBJECTS ON)
  list(APPEND NF_CPU_SETS avx2 avx512)
  set(NF_CPU_base -march=x86-64)
  set(NF_CPU_avx2 -march=x86-64-v3)
  set(NF_CPU_avx2_tile 32 6)
  # 512-bit vectors nearly double the speed of exp and tanh.
  set(NF_CPU_avx512 -march=x86-64-v4 -mprefer-vector-width=512)
  set(NF_CPU_avx512_tile 64 14)
  find_program(NF_LD NAMES ld.bfd ld REQUIRED)  # GNU's: others have no --force-group-allocation
  find_program(NF_OBJCOPY NAMES objcopy REQUIRED)
  mark_as_advanced(NF_LD NF_OBJCOPY)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(NF_CPU_base_tile 16 12)  # 32 registers, and fused multiply-adds
endif()

get_filename_component(NF_ROOT ${CMAKE_CURRENT_LIST_DIR}/../.. ABSOLUTE)

function(nf_cpu_kernels target)
  file(GLOB sources CONFIGURE_DEPENDS ${NF_ROOT}/tensor/cpu/*.cpp ${NF_ROOT}/tensor/cpu/gemm/*.cpp)
  # The loops are written to be vectorised. errno and floating-point traps, which nothing here looks
  # at, would forbid that; NaN, infinities and signed zeros keep their meaning (no -ffast-math).
  # The kernels' buffers are filled by loops of fixed length: no canary is put beside them at each
  # call. Where clang does not vectorise a loop it is slower, not wrong. GCC's unique symbols cannot
  # be made local, and nor can what is compiled at link time.
  set(options $<$<NOT:$<BOOL:${NF_INSTRUMENTED}>>:-O3> -fno-math-errno -fno-trapping-math
              -fno-stack-protector -fno-lto $<$<CXX_COMPILER_ID:GNU>:-fno-gnu-unique>
              $<$<CXX_COMPILER_ID:Clang>:-Wno-pass-failed>)
  foreach(set ${NF_CPU_SETS})
    set(name cpu_backend_${set})
    string(LENGTH ${name} length)
    set(kernels nf_cpu_${set})
    add_library(${kernels} OBJECT ${sources})
    set_target_properties(${kernels} PROPERTIES NF_KERNELS ON)
    if(NF_INSTRUMENTED)  # as in nf_library
      set_target_properties(${kernels} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 6)
    endif()
    target_include_directories(${kernels} PRIVATE ${NF_ROOT})
    target_link_libraries(${kernels} PRIVATE nf_flags)
    list(GET NF_CPU_${set}_tile 0 bytes)
    list(GET NF_CPU_${set}_tile 1 rows)
    target_compile_definitions(${kernels} PRIVATE NF_CPU_BACKEND=${name} NF_VECTOR_BYTES=${bytes}
                                                  NF_TILE_ROWS=${rows})
    target_compile_options(${kernels} PRIVATE ${options} ${NF_CPU_${set}})
    string(APPEND table "NF_CPU_SET(${set}) ")
    if(NOT NF_KERNEL_OBJECTS)
      target_sources(${target} PRIVATE $<TARGET_OBJECTS:${kernels}>)
      continue()
    endif()

    set(object ${PROJECT_BINARY_DIR}/${kernels}.o)
    add_custom_command(OUTPUT ${object}
      COMMAND ${NF_LD} -r --force-group-allocation -o ${object}.global $<TARGET_OBJECTS:${kernels}>
      COMMAND ${NF_OBJCOPY} --keep-global-symbol=_ZN2nf${length}${name}Ev ${object}.global ${object}
      DEPENDS ${kernels} $<TARGET_OBJECTS:${kernels}> COMMAND_EXPAND_LISTS VERBATIM
      COMMENT "Making the names of ${kernels} local")
    target_sources(${target} PRIVATE ${object})
    set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
  endforeach()
  set_source_files_properties(${NF_ROOT}/tensor/cpu/host/cpu_kernels.cpp PROPERTIES
                              COMPILE_DEFINITIONS "NF_CPU_SETS=${table}")
endfunction()

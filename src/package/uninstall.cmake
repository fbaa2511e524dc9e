# Removes what `cmake --install` has put there last: run in the build folder.
cmake_minimum_required(VERSION 3.22)

if(NOT EXISTS install_manifest.txt)
  message(FATAL_ERROR "Nothing was installed from here")
endif()
file(STRINGS install_manifest.txt files)
foreach(file IN LISTS files)
  message(STATUS "Removing: $ENV{DESTDIR}${file}")
  file(REMOVE "$ENV{DESTDIR}${file}")
  if(file MATCHES "/cmap/[^/]*$") # a folder of our own
    get_filename_component(folder "${file}" DIRECTORY)
    file(REMOVE_RECURSE "$ENV{DESTDIR}${folder}")
  endif()
endforeach()

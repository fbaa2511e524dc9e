# Debian packages, by `cpack -G DEB` in the build folder: the library, and what
# it takes to build programs with it. corosync's libcmap4 and libcmap-dev have
# the names that these would have; both dev packages are found by -lcmap, so
# only one of them can be installed. Configure with -DCMAKE_INSTALL_PREFIX=/usr
# for Debian's own folders.

set(CPACK_PACKAGE_CONTACT "The authors of libcmap <libcmap@localhost>"
  CACHE STRING "The maintainer that packages name")
set(CPACK_PACKAGE_NAME libcmap-map)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL runtime development)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)

set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME
  "libcmap-map${PROJECT_VERSION_MAJOR}")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION libs)
find_program(CMAP_SHLIBDEPS dpkg-shlibdeps)
mark_as_advanced(CMAP_SHLIBDEPS)
if(CMAP_SHLIBDEPS)
  set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
endif()

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libcmap-map-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_CONFLICTS libcmap-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
  "${CPACK_DEBIAN_RUNTIME_PACKAGE_NAME} (= ${PROJECT_VERSION})")

include(CPack)

# Sourced by the scripts that run another pdnn if PDNN names one.

# To be called in the caller's folder: makes PDNN a path that holds in any.
# A bare name that is no file here is looked for in PATH.
absolute_pdnn() {
    case ${PDNN:-} in
        '' | /*) return 0 ;;
        */*) ;;
        *) [ -f "$PDNN" ] || PDNN=$(command -v "$PDNN" || echo "$PDNN") ;;
    esac
    case $PDNN in /*) ;; *) PDNN=$PWD/$PDNN ;; esac
}

# Calls `fail` if PDNN is set and no program.
check_pdnn() {
    if [ -n "${PDNN:-}" ] && { [ ! -f "$PDNN" ] || [ ! -x "$PDNN" ]; }; then
        fail "PDNN: no program $PDNN; expected the path of a pdnn binary"
    fi
}

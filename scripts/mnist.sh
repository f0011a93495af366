# Sourced by the scripts that take MNIST with -d: where it is.

# The folder "$1" if one is named, else that of the environment, else the
# project's own; nothing if there is no such folder.
mnist_folder() {
  local folder
  if [ -n "$1" ]; then
    if [ -d "$1" ]; then echo "$1"; fi
    return
  fi
  for folder in ${PDNN_DATA:+"$PDNN_DATA/mnist"} data/mnist; do
    if [ -d "$folder" ]; then echo "$folder"; return; fi
  done
}

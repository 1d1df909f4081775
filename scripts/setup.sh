#!/usr/bin/env bash
# Installs what building (and, with "test", testing) needs and this machine lacks.
# Says what and why before it does. Uses sudo only when something must be installed and
# it is not root. Prints nothing when nothing is missing.
#
#   scripts/setup.sh [build|test]
set -euo pipefail
cd "$(dirname "$0")/.."
for_what=${1:-build}

have() { command -v "$1" >/dev/null 2>&1; }
fail() { printf 'shiren: %s\n' "$*" >&2; exit 1; }

# at_least VERSION WANTED: compares dotted numbers.
at_least() {
	local IFS=. i
	local -a v w
	read -ra v <<<"$1"
	read -ra w <<<"$2"
	for ((i = 0; i < ${#w[@]}; i++)); do
		local a=${v[i]:-0}
		a=${a%%[!0-9]*}
		((${a:-0} > w[i])) && return 0
		((${a:-0} < w[i])) && return 1
	done
	return 0
}

# What the package manager should not choose a version of.
go_wanted=$(sed -n 's/^go \([0-9.]*\)$/\1/p' go.mod)
node_wanted=20.19
have go || fail "Go $go_wanted or newer is needed and there is no \"go\" on the PATH. Install it from your system or from go.dev, then repeat the command."
go_version=$(go env GOVERSION 2>/dev/null || true)
at_least "${go_version#go}" "$go_wanted" ||
	fail "Go $go_wanted or newer is needed; this is $(GOTOOLCHAIN=local go env GOVERSION). Install a newer one, then repeat the command."
if ! have node || ! have npm; then
	fail "Node $node_wanted or newer with npm is needed for the pages and the models, and \"node\" or \"npm\" is not on the PATH. Install them, then repeat the command."
fi
node_version=$(node -p process.versions.node)
at_least "$node_version" "$node_wanted" || fail "Node $node_wanted or newer is needed; this is $node_version. Install a newer one, then repeat the command."

debian=() why=()
need() { # need PACKAGE REASON
	debian+=("$1")
	why+=("$2")
}

compiles() { printf '#include <%s>\n' "$1" | cc -E -x c - >/dev/null 2>&1; }
if ! have cc && ! have gcc && ! have clang; then
	need build-essential "a C compiler, for SQLite, the JPEG decoder and ONNX Runtime's binding"
	need libturbojpeg0-dev "libjpeg-turbo, which decodes photographs"
elif [[ $(uname -s) == Linux ]] && ! compiles turbojpeg.h; then
	need libturbojpeg0-dev "libjpeg-turbo, which decodes photographs"
elif [[ $(uname -s) == Darwin && ! -e /opt/homebrew/opt/jpeg-turbo/include/turbojpeg.h ]]; then
	need libturbojpeg0-dev "libjpeg-turbo, which decodes photographs"
fi

if [[ $for_what == test ]]; then
	if ! have chromium && ! have chromium-browser && ! have google-chrome; then
		need chromium "the browser in which the page is tested"
	fi
	have ffmpeg || need ffmpeg "makes a fake camera out of a test video"
	if ! have postgres && ! compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null; then
		need postgresql "the second database that the store is tested on"
	fi
	if ! have fc-list || [[ -z $(fc-list 'Noto Sans CJK SC' family) || -z $(fc-list 'Noto Serif CJK SC' family) ]]; then
		need fonts-noto-cjk "Chinese letters for synthetic identity documents and the page's screenshots"
	fi
	have curl || need curl "runs the commands that a start prints"
	have shellcheck || need shellcheck "checks these scripts"
	# Elsewhere than on Debian these samples are skipped without it.
	if have java && have apt-get && [[ ! -e /usr/share/java/bcprov.jar ]]; then
		need libbcprov-java "BouncyCastle, with which sample programs in Java sign"
	fi
fi

((${#debian[@]})) || exit 0

echo "shiren: this machine lacks:"
for i in "${!debian[@]}"; do
	printf '  %-20s %s\n' "${debian[i]}" "${why[i]}"
done

if ! have apt-get; then
	translate() { # translate COLUMN: the packages' names elsewhere; 2 dnf, 3 pacman, 4 brew
		for p in "${debian[@]}"; do
			awk -v p="$p" -v c="$1" '$1 == p { print $c }' <<-'TABLE' | tr ',' ' '
				build-essential gcc,make base-devel make
				libturbojpeg0-dev turbojpeg-devel libjpeg-turbo jpeg-turbo
				chromium chromium chromium chromium
				ffmpeg ffmpeg-free ffmpeg ffmpeg
				postgresql postgresql-server postgresql postgresql
				fonts-noto-cjk google-noto-sans-cjk-fonts,google-noto-serif-cjk-fonts noto-fonts-cjk font-noto-sans-cjk-sc,font-noto-serif-cjk-sc
				shellcheck ShellCheck shellcheck shellcheck
				curl curl curl curl
			TABLE
		done | tr '\n' ' '
	}
	if have dnf; then
		echo "Install them and repeat the command:  sudo dnf install $(translate 2)"
	elif have pacman; then
		echo "Install them and repeat the command:  sudo pacman -S --needed $(translate 3)"
	elif have brew; then
		echo "Install them and repeat the command:  brew install $(translate 4)"
	else
		echo "Install them (the names are Debian's) and repeat the command."
	fi
	exit 1
fi

as_root=()
if ((EUID != 0)); then
	have sudo || fail "installing them needs root and there is no sudo. As root:  apt-get install -y ${debian[*]}"
	as_root=(sudo)
	echo "They are installed with apt-get, which needs root; sudo may ask for your password."
else
	echo "They are installed with apt-get."
fi
export DEBIAN_FRONTEND=noninteractive
run_apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@"; }
# Ubuntu ships its browser under another name.
if [[ " ${debian[*]} " == *" chromium "* ]] && ! grep -qi '^ID=debian' /etc/os-release && ! apt-cache show chromium >/dev/null 2>&1; then
	debian=("${debian[@]/#chromium/chromium-browser}")
fi
run_apt update || fail "apt-get update failed; see above. Behind a proxy, set http_proxy or apt's Acquire::http::Proxy."
run_apt install -y --no-install-recommends "${debian[@]}" >/dev/null || fail "apt-get install failed; see above."
echo "shiren: installed."

# What bash completes after "actinh": a verb, then its options, each read from the program's own help; else files.
_actinh() {
    local word=${COMP_WORDS[COMP_CWORD]} words=
    if [ "$COMP_CWORD" -eq 1 ] || [ "${COMP_WORDS[1]}" = help ]; then
        words="help $("$1" help | sed -n 's/^    actinh \([a-z]*\).*/\1/p')"
    elif [[ $word == -* ]]; then
        words="--help $("$1" help "${COMP_WORDS[1]}" 2>/dev/null | sed -n 's/^    \(--[a-z0-9-]*\).*/\1/p')"
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _actinh actinh

# Passes cargo's output through and adds its counts up: a run over many crates has many "test result" lines.
{ print; fflush() }
/^test result:/ {
    for (i = 1; i < NF; i++) {
        if ($(i + 1) == "passed;") passed += $i
        if ($(i + 1) == "failed;") failed += $i
        if ($(i + 1) == "ignored;") ignored += $i
    }
    runs++
}
/^error: could not compile/ { broken = 1 }
END {
    printf "\n%d passed, %d failed, %d skipped\n", passed, failed, ignored
    if (failed || broken || !runs) exit 1
}

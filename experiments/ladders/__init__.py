"""The bound ladder: every optimum, and what each rule attains of it."""

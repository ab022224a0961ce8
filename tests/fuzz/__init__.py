"""Bad invocations of ``alum``, made at random from good ones: ``make fuzz``."""

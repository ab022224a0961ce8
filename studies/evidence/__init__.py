"""What regularises, what makes robust: arms side by side, trained past their optimum, each taken at its best."""

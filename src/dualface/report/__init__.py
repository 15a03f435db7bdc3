"""The report: metrics, plots and one page, from scores."""

"""The report: one HTML file with verdict, figures, interactive charts, a browser of signals and provenance."""

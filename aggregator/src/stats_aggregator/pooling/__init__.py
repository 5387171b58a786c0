"""From values to summaries, by columns."""

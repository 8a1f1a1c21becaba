"""Tests of specjax."""

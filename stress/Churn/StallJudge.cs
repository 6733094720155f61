using System.Diagnostics;

namespace Collective.Stress.Churn;

/// <summary>Finds the longest time in which nothing committed although at least two healthy peers were connected.</summary>
internal sealed class StallJudge(long startedAt)
{
    private long _since = startedAt;
    private bool _canCommit;

    public TimeSpan Longest { get; private set; }

    /// <summary>When the longest one began.</summary>
    public long LongestSince { get; private set; }

    public void OnCommitted(long at)
    {
        if (_canCommit)
        {
            Measure(at);
        }

        _since = Math.Max(_since, at);
    }

    /// <summary>To be called again and again.</summary>
    public void OnTime(long now, int healthyPeers)
    {
        if (_canCommit)
        {
            Measure(now);
        }

        _canCommit = healthyPeers >= 2;
        if (!_canCommit)
        {
            _since = now;
        }
    }

    private void Measure(long at)
    {
        var length = Stopwatch.GetElapsedTime(_since, at);
        if (length > Longest)
        {
            Longest = length;
            LongestSince = _since;
        }
    }
}

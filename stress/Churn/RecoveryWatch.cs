using System.Diagnostics;

namespace Collective.Stress.Churn;

/// <summary>Times from the first epoch that a loss opens until one stands.</summary>
internal sealed class RecoveryWatch(StrikeBook strikes)
{
    private readonly List<TimeSpan> _all = [];
    private readonly List<TimeSpan> _undisturbed = [];
    private long? _since;

    public IReadOnlyList<TimeSpan> All => _all;

    /// <summary>Those during which no other peer was frozen or cut off, so that no timeout was waited for.</summary>
    public IReadOnlyList<TimeSpan> Undisturbed => _undisturbed;

    public void OnMaster(MasterNews news)
    {
        if (news.Kind == MasterNews.EpochOpened && !news.Text.Contains("because admitted", StringComparison.Ordinal))
        {
            _since ??= news.At;
        }
        else if (news.Kind == MasterNews.EpochStands && _since is { } since)
        {
            _since = null;
            var length = Stopwatch.GetElapsedTime(since, news.At);
            _all.Add(length);
            if (!strikes.WasAnybodySilent(since, news.At))
            {
                _undisturbed.Add(length);
            }
        }
    }
}

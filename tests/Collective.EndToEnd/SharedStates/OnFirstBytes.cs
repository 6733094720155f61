namespace Collective.EndToEnd.SharedStates;

/// <summary>Acts when the first blocks have come.</summary>
internal sealed class OnFirstBytes(Action act) : IProgress<SharedStateProgress>
{
    private int _done;

    public void Report(SharedStateProgress value)
    {
        if (value.BytesDone > 0 && value.BytesDone < value.BytesTotal && Interlocked.Exchange(ref _done, 1) == 0)
        {
            act();
        }
    }
}

using System.Net.Sockets;

namespace Collective.Transport;

/// <summary>Failures that say something about this process or its system, and nothing about the other side.</summary>
internal static class Shortage
{
    /// <summary>What is short, with what to do, as a sentence about "it"; null when the failure has another cause.</summary>
    public static string? Of(Exception exception) => exception switch
    {
        SocketException { SocketErrorCode: SocketError.TooManyOpenSockets }
            => "its process has no file descriptors left (allow it more with ulimit -n, or close files)",
        SocketException { SocketErrorCode: SocketError.NoBufferSpaceAvailable }
            => "its system has no memory left for connections (free some)",
        InsufficientMemoryException => exception.Message,
        OutOfMemoryException when !GivesThreads()
            => "its system gives its process no more threads (allow it more with ulimit -u, or end some)",
        OutOfMemoryException
            => "its system gives its process no more memory (allow it more with ulimit -v, or free some)",
        _ => null,
    };

    /// <summary>Whether names cannot be resolved for want of descriptors: the resolver does not say so.</summary>
    public static string? OfDescriptors()
    {
        try
        {
            new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp).Dispose();
            return null;
        }
        catch (SocketException e)
        {
            return Of(e);
        }
    }

    /// <summary>The runtime says only that it is out of memory when the system refuses a thread.</summary>
    private static bool GivesThreads()
    {
        try
        {
            new Thread(static () => { }, maxStackSize: 64 * 1024) { IsBackground = true, Name = "collective-check" }.Start();
            return true;
        }
        catch (OutOfMemoryException)
        {
            return false;
        }
    }
}
